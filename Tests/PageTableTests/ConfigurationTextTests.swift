// SPDX-License-Identifier: GPL-2.0-only

import PageTable
import Testing

@Suite struct ConfigurationTextTests {
  private let schema = ConfigurationSchema(
    format: "toy",
    keys: [
      ConfigurationKey(
        "stage", .choice(["1", "2"]), default: "1", "stage", slugPrefix: "s", alwaysInSlug: true),
      ConfigurationKey("ias", .number(32...52), default: "48", "input bits"),
      ConfigurationKey("features", .flags(["a", "b", "c"]), default: "a", "features", slugPrefix: ""),
      ConfigurationKey("sizes", .bitmap, default: "0x0", "sizes"),
    ])

  @Test func leftOutKeysTakeTheirDefaults() throws {
    let configuration = try schema.configuration([])
    #expect(configuration.description == "toy")
    #expect(configuration.slug == "toy.s1")
    #expect(configuration.number("ias") == 48)
    #expect(configuration.flags("features") == ["a"])
  }

  @Test func textIsCanonical() throws {
    let configuration = try schema.configuration(["features=c+b", "ias=0x28", "sizes=4K"])
    #expect(configuration.description == "toy:ias=40,features=b+c,sizes=0x1000")
    #expect(configuration.slug == "toy.s1.ias40.b-c.sizes0x1000")
    #expect(configuration.bitmap("sizes") == 4096)
    #expect(configuration == (try schema.configuration(["sizes=0x1000", "ias=40", "features=b+c"])))
  }

  @Test func noFlagsAreNone() throws {
    let configuration = try schema.configuration(["features=none"])
    #expect(configuration.flags("features").isEmpty)
    #expect(configuration.slug == "toy.s1.none")
  }

  @Test func permissiveIsPartOfTheText() throws {
    #expect(try schema.configuration(["build=permissive"]).description == "toy:build=permissive")
    #expect(try schema.configuration([], permissive: true).permissive)
  }

  @Test(arguments: [
    ("iad=40", "did you mean ias?"), ("ias", "expected key=value"), ("ias=31", "a number from 32 to 52"),
    ("ias=forty", "a number from 32 to 52"), ("stage=3", "one of 1, 2"), ("features=a+d", "any of a, b, c"),
    ("features=a++b", "any of a, b, c"), ("build=loose", "one of linux, permissive"),
    ("", "expected key=value"),
    ("sizes=many", "a bitmap of sizes"),
  ])
  func errorsSayWhatIsKnown(_ pair: String, _ expectation: String) {
    let error = #expect(throws: ConfigurationError.self) { try schema.configuration([pair]) }
    #expect(error?.description.contains(expectation) == true, "\(String(describing: error))")
  }

  @Test func aKeyIsGivenOnce() {
    #expect(throws: ConfigurationError.self) { try schema.configuration(["ias=40", "ias=40"]) }
  }
}
