// SPDX-License-Identifier: GPL-2.0-only

import Machine
import Testing

@Suite("Errors of a machine")
struct MachineErrorTests {
  @Test("A refused call names the call and the error")
  func refused() {
    let error = MachineError.refused(call: "open /dev/vfio/3", error: 16)
    #expect("\(error)" == "open /dev/vfio/3: Device or resource busy")
    #expect(error.number == 16)
    #expect(MachineError.lost("no answer").number == nil)
  }
}
