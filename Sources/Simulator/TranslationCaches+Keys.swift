// SPDX-License-Identifier: GPL-2.0-only

/// A set of numbers that finds those in a range without looking at the others: a trie of 64-bit bitmaps, six
/// bits of the number for each layer.
struct KeySet: Sendable {
  /// For each layer, by the number's bits above it, which of the next six bits' values occur.
  private var layers: [[UInt64: UInt64]] = Array(repeating: [:], count: Self.layerCount)

  private static let layerCount = 11

  mutating func insert(_ key: UInt64) {
    for layer in 0..<Self.layerCount {
      let part = Self.part(key, above: layer)
      let bit: UInt64 = 1 << (part & 63)
      let old = layers[layer].updateValue(bit, forKey: Self.part(key, above: layer + 1)) ?? 0
      guard old != 0 else { continue }
      // Whoever came first has marked the layers above.
      layers[layer][Self.part(key, above: layer + 1)] = old | bit
      return
    }
  }

  mutating func remove(_ key: UInt64) {
    for layer in 0..<Self.layerCount {
      let cell = Self.part(key, above: layer + 1)
      let left = (layers[layer][cell] ?? 0) & ~(1 << (Self.part(key, above: layer) & 63))
      layers[layer][cell] = left == 0 ? nil : left
      if left != 0 { return }
    }
  }

  /// The members from `first` to `last`, ascending.
  func members(_ first: UInt64, _ last: UInt64) -> [UInt64] {
    guard first <= last else { return [] }
    var found: [UInt64] = []
    // The lowest layer at which one bitmap spans the range.
    let layer = min((63 - min((first ^ last).leadingZeroBitCount, 63)) / 6, Self.layerCount - 1)
    collect(layer, Self.part(first, above: layer + 1), first, last, &found)
    return found
  }

  private func collect(_ layer: Int, _ cell: UInt64, _ first: UInt64, _ last: UInt64, _ found: inout [UInt64])
  {
    guard var bits = layers[layer][cell] else { return }
    if cell == Self.part(first, above: layer + 1) {
      bits &= ~0 << (Self.part(first, above: layer) & 63)
    }
    if cell == Self.part(last, above: layer + 1) {
      bits &= ~0 >> (63 - Self.part(last, above: layer) & 63)
    }
    while bits != 0 {
      let child = cell << 6 | UInt64(bits.trailingZeroBitCount)
      bits &= bits - 1
      if layer == 0 { found.append(child) } else { collect(layer - 1, child, first, last, &found) }
    }
  }

  /// The number without the bits of the layers below `layer`.
  private static func part(_ key: UInt64, above layer: Int) -> UInt64 { key >> UInt64(6 * layer) }
}

/// What a cache holds of one size: values by the IOVA's bits above that size.
struct CacheTier<Value: Sendable>: Sendable {
  /// log2 of the bytes of IOVA that one value is for.
  let shift: UInt64
  private(set) var values: [UInt64: Value] = [:]
  private var keys = KeySet()

  init(shift: Int) { self.shift = UInt64(shift) }

  /// The value that `iova` belongs to.
  func value(at iova: UInt64) -> Value? { values[iova >> shift] }

  /// Sets the value that `iova` belongs to; returns the one it had.
  @discardableResult
  mutating func insert(_ value: Value, at iova: UInt64) -> Value? {
    let old = values.updateValue(value, forKey: iova >> shift)
    if old == nil { keys.insert(iova >> shift) }
    return old
  }

  @discardableResult
  mutating func remove(at iova: UInt64) -> Value? {
    guard let old = values.removeValue(forKey: iova >> shift) else { return nil }
    keys.remove(iova >> shift)
    return old
  }

  /// The values whose IOVAs overlap a range, ascending.
  func values(overlapping first: UInt64, _ last: UInt64) -> [Value] {
    if values.isEmpty { return [] }
    let (start, end) = (first >> shift, last >> shift)
    // A few are looked up faster than searched for.
    if end - start < 4 { return (start...end).compactMap { values[$0] } }
    return keys.members(start, end).compactMap { values[$0] }
  }
}
