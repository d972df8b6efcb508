// SPDX-License-Identifier: GPL-2.0-only

import ArgumentParser
import PageTable
import Reference
import ReferenceSpecs
import TAP
import Walk

/// `ptkit walk`
struct WalkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "walk",
    abstract: "Walk the real tables of a machine: from an IOMMU's registers, in a dump of its memory.",
    discussion: """
      The dump is ELF, as QEMU's dump-guest-memory and /proc/vmcore write it, or of another format that libkdumpfile \
      reads. The registers are in no dump: save them beside it, a line 'NAME VALUE' or 'OFFSET VALUE' each. \
      '--list-registers' says which, and where QEMU has them.

      Every word of every table is read and compared with the golden encoder's for what it maps; with --expect, for what \
      it should map. Exit status 1 when anything is wrong.

      Example: ptkit walk guest.elf --iommu intel --registers guest.regs --device 00:04.0
      """)

  @Argument(help: "The dump.", completion: .file())
  var dump: String?

  @Option(help: "The IOMMU: intel, amd, smmuv3 or riscv.")
  var iommu: IOMMUKind

  @Option(help: "The file with the registers' values.", completion: .file())
  var registers: String?

  @Option(
    help: "Report this device only: 00:04.0, or a stream or device ID.", transform: WalkCommand.deviceID)
  var device: UInt32?

  @Option(help: "Explain the walk of this IOVA.", transform: Arguments.size)
  var iova: UInt64?

  @Option(
    help:
      "What should be mapped: lines 'device BDF', 'map IOVA PHYSICAL LENGTH rw', 'allow IOVA LENGTH [identity]'.",
    completion: .file())
  var expect: String?

  @Flag(help: "List every word.")
  var words = false

  @Option(
    help: "The bit of addresses that marks encrypted memory (AMD SME), 32 to 51.", transform: Arguments.count)
  var cbit: Int?

  @Flag(help: "List the registers that are needed, and end.")
  var listRegisters = false

  func validate() throws {
    guard !listRegisters else { return }
    guard dump != nil else { throw ValidationError("expected the file of a dump") }
    guard registers != nil else {
      throw ValidationError("--registers FILE is needed: a dump holds no registers")
    }
    if let cbit, !(32...51).contains(cbit) { throw ValidationError("--cbit is 32 to 51, found \(cbit)") }
  }

  func run() throws {
    guard !listRegisters, let dump, let registers else { return printRegisters() }
    do {
      let report = try report(dump, registers)
      try report.run()
      guard report.problemCount == 0 else { throw ExitStatus.failure }
    } catch let error as DumpError {
      throw InputError("\(error)")
    } catch let error as WalkInputError {
      throw InputError("\(error)")
    }
  }

  private func report(_ dump: String, _ registers: String) throws -> WalkReport {
    let values = try RegisterValues(iommu, text: InputText.contents(of: registers), file: registers)
    var options = WalkReport.Options()
    options.device = device
    options.iova = iova
    options.listsWords = words
    if let expect {
      options.expectations = try Expectations(text: InputText.contents(of: expect), file: expect)
    }
    let walker = IOMMUWalker(
      registers: values, memory: try Dump.open(dump), specifications: .embedded, encryptionBit: cbit ?? 0)
    return WalkReport(walker, options) { print($0) }
  }

  private func printRegisters() {
    print("# \(iommu.title): name, offset, bytes, meaning; QEMU has them at \(Numbers.hex(iommu.qemuBase))")
    for register in iommu.registers {
      print("\(register.name) \(Numbers.hex(register.offset)) \(register.byteCount) \(register.summary)")
    }
  }

  private static func deviceID(_ text: String) throws -> UInt32 {
    guard let id = DeviceTables.id(text) else {
      throw ValidationError("'\(text)' is no device; write 00:04.0, or a stream or device ID such as 0x20")
    }
    return id
  }
}

extension IOMMUKind: ExpressibleByArgument {}
