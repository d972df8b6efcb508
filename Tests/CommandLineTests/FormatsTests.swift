// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import Testing

@Suite("ptkit formats and the configuration text")
struct FormatsTests {
  static let names = [
    "amdv1", "amdv1_mock", "x86_64", "vtdss", "riscv64", "armv8", "arm_lpae32", "armv7s", "mali", "dart",
  ]

  @Test("formats lists all formats, with keys, levels and leaf sizes")
  func list() throws {
    let run = try Run.ptkit(["formats"])
    #expect(run.status == 0)
    for name in Self.names { #expect(run.lines.contains { $0.hasPrefix("\(name): ") }) }
    #expect(run.output.contains("leaves 2M 4M"))
    #expect(run.output.contains("default 48"))
  }

  @Test("formats --json is valid, and the same each time")
  func json() throws {
    let run = try Run.ptkit(["formats", "--json"])
    let object = try #require(try run.json() as? [String: Any])
    let formats = try #require(object["formats"] as? [[String: Any]])
    #expect(formats.map { $0["name"] as? String } == Self.names)
    let levels = try #require((formats[2]["default"] as? [String: Any])?["levels"] as? [[String: Any]])
    #expect(levels[1]["leafSizes"] as? [String] == ["0x200000"])
    #expect(try Run.ptkit(["formats", "--json"]).output == run.output)
  }

  @Test("formats shows one configuration, with its slug")
  func one() throws {
    let run = try Run.ptkit(["formats", "armv8:stage=2,granule=16k,ias=40,oas=44"])
    #expect(run.lines.first?.contains("armv8.s2.16k.ias40.oas44") == true)
    #expect(run.output.contains("32M"))
  }

  @Test("an unknown format gets the nearest one, and all")
  func unknownFormat() throws {
    let run = try Run.ptkit("decode amdv2 --level 0 0x1".words)
    #expect(run.status == 65)
    #expect(run.errors.contains("unknown format 'amdv2', did you mean amdv1?"))
    #expect(run.errors.contains("riscv64"))
    #expect(run.output == "")
  }

  @Test(
    "a configuration that is wrong says so and what is known",
    arguments: [
      ("armv8:granul=4k", "did you mean granule?"), ("armv8:granule=5k", "one of 4k, 16k, 64k"),
      ("x86_64:va", "key=value"), ("x86_64:va=48,va=48", "twice"),
      ("riscv64:features=sign_extnd", "sign_extend"), ("riscv64:va=40", "39, 48 or 57"),
    ])
  func badConfiguration(text: String, hint: String) throws {
    let run = try Run.ptkit(["decode", text, "--level", "0", "0x1"])
    #expect(run.status == 65)
    #expect(run.errors.contains(hint), "\(run.errors)")
  }

  @Test("what a Linux build refuses is accepted with build=permissive")
  func permissive() throws {
    let refused = try Run.ptkit("formats amdv1:level=3,features=none".words)
    #expect(refused.status == 65)
    #expect(refused.errors.contains("permissive"))
    #expect(try Run.ptkit("formats amdv1:level=3,features=none,build=permissive".words).status == 0)
  }
}
