// SPDX-License-Identifier: GPL-2.0-only

import GenericPT
import PageTable
import Simulator

/// What any implementation must do at least: the walk's dependent loads and one store, or a check and a fill of a run of
/// words. Measured on the same tables, with the same kind of loads and stores, in the same run.
struct Floor<Format: PageTableFormat> {
  let format: Format
  let memory: PlainMemory
  let root: TableRoot
  let level: Int

  /// The word for an IOVA, found by a walk that checks nothing.
  @inline(__always)
  private func word(_ iova: UInt64) -> UnsafeMutablePointer<Format.Word> {
    let offset = UInt64(UInt(bitPattern: memory.arena)) &- memory.physicalBase
    var table = root.physical
    var current = root.level
    // The top may have more words than other tables.
    var mask = Bits.lowMask(format.geometry.iovaBits &- Format.itemLog2(level: current))
    while true {
      let shift = UInt64(truncatingIfNeeded: Format.itemLog2(level: current))
      let index = iova &>> shift & mask
      let address = UInt(truncatingIfNeeded: table &+ offset &+ index &<< UInt64(Format.Word.bytesLog2))
      // The tables were made by a map of the same addresses, so the sum is never null.
      let word = UnsafeMutablePointer<Format.Word>(bitPattern: address).unsafelyUnwrapped
      if current == level { return word }
      table = format.tableAddress(UInt64(truncatingIfNeeded: word.pointee), level: current)
      current &-= 1
      mask = Bits.lowMask(Format.indexBits)
    }
  }

  /// One walk and one store, in a call of its own as a map is.
  @inline(never)
  private func store(_ iova: UInt64, _ value: UInt64) {
    word(iova).pointee = Format.Word(truncatingIfNeeded: value)
  }

  /// Walks and stores one word for each address.
  @inline(never)
  func store(_ addresses: [(iova: UInt64, pa: UInt64)], value: UInt64) {
    for address in addresses { store(address.iova, value &+ (value == 0 ? 0 : address.pa)) }
  }

  /// For each address, checks that `count` words are zero and fills them with words that grow by `step`.
  @inline(never)
  func fill(_ addresses: [(iova: UInt64, pa: UInt64)], count: Int, value: UInt64, step: UInt64) {
    for address in addresses {
      let words = word(address.iova)
      var any: Format.Word = 0
      for index in 0..<count { any |= words[index] }
      guard any == 0 else { return }
      var next = Format.Word(truncatingIfNeeded: value &+ address.pa)
      let step = Format.Word(truncatingIfNeeded: step)
      for index in 0..<count {
        words[index] = next
        next &+= step
      }
    }
  }

  /// For each address, checks that `count` words are leaves of a single word and clears them.
  @inline(never)
  func clear(_ addresses: [(iova: UInt64, pa: UInt64)], count: Int) {
    for address in addresses {
      let words = word(address.iova)
      var defect: UInt64 = 0
      for index in 0..<count {
        defect |= format.plainLeafDefect(UInt64(truncatingIfNeeded: words[index]), level: level)
      }
      guard defect == 0 else { return }
      for index in 0..<count { words[index] = 0 }
    }
  }
}
