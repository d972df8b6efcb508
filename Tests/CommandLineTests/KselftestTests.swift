// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import TAP
import Testing

/// The frame of kselftest from a kernel tree, and what the tests of `selftests/` do in it.
struct KselftestFrame {
  /// A kernel tree that has the frame: $PTKIT_KSRC, or what Sources/KernelTree/fetch has fetched; nil where there is none.
  static let source: URL? = {
    let given = ProcessInfo.processInfo.environment["PTKIT_KSRC"] ?? ""
    let trees = [given] + ["7.3", "7.2"].map { "\(Places.cache.path)/linux-source-\($0)" }
    return trees.map { URL(fileURLWithPath: $0, isDirectory: true) }.first { tree in
      needed.allSatisfy { FileManager.default.fileExists(atPath: tree.appendingPathComponent($0).path) }
    }
  }()

  private static let needed = ["tools/testing/selftests/lib.mk", "scripts/subarch.include"]

  static let hasTools = ["/usr/bin/make", "/usr/bin/rsync"].allSatisfy {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  let scratch: Scratch
  /// tools/testing/selftests of a tree of its own.
  let selftests: URL
  /// The drop-in in there.
  let suite: URL

  init() throws {
    let source = try #require(Self.source)
    scratch = try Scratch()
    selftests = scratch.path("linux/tools/testing/selftests")
    suite = selftests.appendingPathComponent("iommu_pt")
    let scripts = scratch.path("linux/scripts")
    try FileManager.default.createDirectory(at: scripts, withIntermediateDirectories: true)
    try FileManager.default.createDirectory(at: selftests, withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      at: source.appendingPathComponent(Self.needed[1]), to: scripts.appendingPathComponent("subarch.include")
    )
    for part in ["Makefile", "lib.mk", "run_kselftest.sh", "kselftest"] {
      try FileManager.default.copyItem(
        at: source.appendingPathComponent("tools/testing/selftests/\(part)"),
        to: selftests.appendingPathComponent(part))
    }
    try FileManager.default.copyItem(at: Places.selftests, to: suite)
  }

  /// Puts golden files of one format beside the drop-in.
  func putGolden(in folder: URL) throws {
    let golden = folder.appendingPathComponent("Golden")
    try FileManager.default.createDirectory(at: golden, withIntermediateDirectories: true)
    for part in ["README.md", "DIVERGENCES.md", "mali"] {
      try FileManager.default.copyItem(
        at: Places.golden.appendingPathComponent(part), to: golden.appendingPathComponent(part))
    }
  }

  /// Runs make with words as arguments, and these programs instead of all where there are any.
  func make(_ arguments: String, only programs: [String] = [], _ environment: [String: String] = [:]) throws
    -> Run
  {
    // As if no other make ran these tests.
    var variables = ["PTKIT": Places.binary.path, "MAKEFLAGS": "", "MAKELEVEL": "0", "KBUILD_OUTPUT": ""]
    variables.merge(environment) { $1 }
    let list = programs.isEmpty ? [] : ["TEST_PROGS=\(programs.joined(separator: " "))"]
    return try Run.program(
      URL(fileURLWithPath: "/usr/bin/make"), arguments.words + list, environment: variables,
      folder: scratch.path("linux"))
  }

  /// What run_kselftest.sh of an installation prints, read as TAP; the streams of programs are below its results.
  func run(installed folder: URL, _ arguments: String, _ environment: [String: String] = [:]) throws
    -> (stream: KTAPStream, run: Run)
  {
    let run = try Run.program(
      folder.appendingPathComponent("run_kselftest.sh"), arguments.words, environment: environment)
    let streams = try KTAPReader.read(run.output).streams
    return (try #require(streams.count == 1 ? streams.first : nil, "\(run.output.suffix(2000))"), run)
  }
}

/// `selftests/` as `tools/testing/selftests/iommu_pt` of a kernel tree, under that tree's own Makefile and runner.
@Suite(
  "kselftest drop-in",
  .enabled(
    if: KselftestFrame.source != nil,
    "there is no tools/testing/selftests: set PTKIT_KSRC, or run Sources/KernelTree/fetch 7.3"),
  .enabled(if: KselftestFrame.hasTools, "make or rsync is missing"))
struct KselftestTests {
  private static let programs = ["golden-mali.sh", "concurrency.sh"]
  private static let target = "-s -C tools/testing/selftests TARGETS=iommu_pt"
  private let frame: KselftestFrame

  init() throws {
    frame = try KselftestFrame()
    try frame.putGolden(in: frame.suite)
  }

  /// The runner's results among a program's lines, which it puts behind "# ".
  private func results(_ run: Run) -> [String] {
    run.lines.filter { $0.hasPrefix("ok ") || $0.hasPrefix("not ok ") }
  }

  /// Installs all programs with the binary beside them.
  private func install(_ environment: [String: String] = [:]) throws -> URL {
    let folder = frame.scratch.path("installed")
    let run = try frame.make("\(Self.target) install KSFT_INSTALL_PATH=\(folder.path)", environment)
    try #require(run.status == 0, "\(run.errors)")
    return folder
  }

  private static func only(_ names: [String]) -> String {
    names.map { "-t iommu_pt:\($0)" }.joined(separator: " ")
  }

  @Test("run_tests in the folder itself; KSELFTEST_…_ARGS reaches the program, and nothing to test is a skip")
  func runTests() throws {
    let run = try frame.make(
      "-s -C \(frame.suite.path) run_tests", only: ["golden-amdv1.sh", "concurrency.sh"],
      ["KSELFTEST_CONCURRENCY_SH_ARGS": "--seed 0x77"])
    #expect(
      results(run) == [
        "ok 1 selftests: iommu_pt: golden-amdv1.sh # SKIP", "ok 2 selftests: iommu_pt: concurrency.sh",
      ], "\(run.errors)")
    #expect(run.lines.contains { $0.hasPrefix("# # ptkit ") && $0.hasSuffix(" seed 0x77") })
  }

  @Test("run_tests by TARGETS, in the tree and with O=, which leaves the tree as it was")
  func targets() throws {
    let wanted = (1...2).map { "ok \($0) selftests: iommu_pt: \(Self.programs[$0 - 1])" }
    let inTree = try frame.make("\(Self.target) run_tests", only: Self.programs)
    #expect(results(inTree) == wanted, "\(inTree.errors)")
    let before = try FileManager.default.subpathsOfDirectory(atPath: frame.suite.path).sorted()
    let output = frame.scratch.path("out")
    // As the tree's own Makefile says it, which calls this one for `make O=… kselftest`.
    let outside = try frame.make(
      "\(Self.target) O=\(output.path) run_tests", only: Self.programs, ["building_out_of_srctree": "1"])
    #expect(results(outside) == wanted, "\(outside.errors)")
    #expect(try FileManager.default.subpathsOfDirectory(atPath: frame.suite.path).sorted() == before)
    for name in ["ptkit", "Golden/mali", "lib.sh", "golden-mali.sh"] {
      let file = output.appendingPathComponent("kselftest/iommu_pt/\(name)").path
      #expect(FileManager.default.fileExists(atPath: file), "\(name)")
    }
  }

  @Test("install takes all that a run needs along; the runner's stream is whole")
  func installed() throws {
    let folder = try install()
    try FileManager.default.removeItem(at: frame.suite)
    let (stream, run) = try frame.run(installed: folder, Self.only(Self.programs))
    #expect(run.status == 0, "\(run.errors)")
    #expect(stream.problems == [])
    #expect(stream.plan == 2)
    #expect(stream.results.map(\.name) == Self.programs.map { "selftests: iommu_pt: \($0)" })
    #expect(stream.totals[.pass] == 2)
    #expect(stream.isSuccess)
    #expect(stream.results.allSatisfy { $0.children?.results.isEmpty == false })
  }

  @Test("the list has every program, in the drop-in's order")
  func list() throws {
    let run = try Run.program(try install().appendingPathComponent("run_kselftest.sh"), ["-l"])
    let names = run.lines.filter { $0.hasPrefix("iommu_pt:") }.map { String($0.dropFirst(9)) }
    #expect(Set(names) == Set(ScriptTests.scripts))
    #expect(names.last == "kernel.sh")
  }

  @Test("out of tree: the repository's folder with the frame of another one")
  func outOfTree() throws {
    let folder = frame.scratch.path("mine")
    try FileManager.default.moveItem(at: frame.suite, to: folder)
    let run = try frame.make(
      "-s -C \(folder.path) KSELFTEST=\(frame.selftests.path) run_tests", only: ["golden-mali.sh"])
    #expect(results(run).count == 1 && results(run)[0].hasPrefix("ok 1 selftests: "), "\(run.errors)")
    #expect(results(run)[0].hasSuffix(": golden-mali.sh"))
    let lost = try frame.make("-s -C \(folder.path) run_tests")
    #expect(lost.status != 0)
    #expect(lost.errors.contains("../lib.mk is missing: this folder belongs in tools/testing/selftests"))
  }

  @Test("without the binary every program is a skip, and none a pass or a failure")
  func skips() throws {
    let folder = try install(["PTKIT": "/nonexistent/ptkit"])
    let (stream, run) = try frame.run(installed: folder, "", ["PTKIT": "/nonexistent/ptkit"])
    #expect(run.status == 0, "\(run.errors)")
    #expect(stream.results.count == ScriptTests.scripts.count)
    #expect(stream.results.allSatisfy { $0.outcome == .skip })
    #expect(run.output.contains("# # PTKIT is '/nonexistent/ptkit', which is no program"))
  }

  @Test("a golden file with a wrong word is a failure of its program alone")
  func failure() throws {
    let file = frame.suite.appendingPathComponent("Golden/mali/cases.golden")
    let text = try String(contentsOf: file, encoding: .utf8)
    let spoiled = text.replacing("phys 0x1000 => 0x5a5a5a5000", with: "phys 0x1000 => 0x5a5a5a6000")
    try #require(spoiled != text)
    try spoiled.write(to: file, atomically: false, encoding: .utf8)
    let (stream, run) = try frame.run(installed: try install(), Self.only(Self.programs))
    #expect(run.status == 1)
    #expect(stream.results.map(\.isOK) == [false, true])
    #expect(run.lines.contains("not ok 1 selftests: iommu_pt: golden-mali.sh # exit=1"))
  }

  @Test("a program that takes longer than settings allow times out, and loses no line that it had printed")
  func timeout() throws {
    try "timeout=3\n".write(
      to: frame.suite.appendingPathComponent("settings"), atomically: false, encoding: .utf8)
    let (stream, run) = try frame.run(
      installed: try install(), Self.only(["walker.sh"]),
      ["KSELFTEST_WALKER_SH_ARGS": "semantics events allocfail --jobs 1"])
    #expect(run.status == 1)
    #expect(stream.results.map(\.outcome) == [.error])
    #expect(stream.results.first?.directive?.reason == "3 seconds")
    let printed = try #require(stream.results.first?.children, "\(run.output)")
    #expect(!printed.results.isEmpty && printed.missingCount > 0)
    #expect(printed.results.allSatisfy { $0.isOK })
  }

  @Test("settings give the slowest program time; config names options that the kernel's IOMMU folder has")
  func settings() throws {
    let settings = try String(
      contentsOf: Places.selftests.appendingPathComponent("settings"), encoding: .utf8)
    let limit = settings.split(separator: "\n").last.flatMap { Int($0.dropFirst("timeout=".count)) }
    #expect(try #require(limit) >= 300)
    let config = try String(contentsOf: Places.selftests.appendingPathComponent("config"), encoding: .utf8)
    let names = try config.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let option = try #require(line.wholeMatch(of: /CONFIG_([A-Z0-9_]+)=[ym]/), "\(line)")
      return String(option.1)
    }
    #expect(Set(names).count == names.count)
    for name in ["VFIO_IOMMU_TYPE1", "VFIO_PCI", "IOMMUFD", "IOMMU_PT_KUNIT_TEST", "IOMMU_DEBUGFS"] {
      #expect(names.contains(name))
    }
    let known = try Self.iommuOptions()
    for name in names where name.contains("IOMMU") && !name.hasPrefix("VFIO") || name.contains("_PT") {
      #expect(known.contains(name), "\(name)")
    }
  }

  /// The options that drivers/iommu of the tree declares.
  private static func iommuOptions() throws -> Set<String> {
    let folder = try #require(KselftestFrame.source).appendingPathComponent("drivers/iommu")
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    let lines = try files.filter { $0.hasSuffix("Kconfig") }.flatMap { file in
      try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8).components(
        separatedBy: "\n")
    }
    return Set(
      lines.compactMap { line in
        line.hasPrefix("config ") || line.hasPrefix("menuconfig ") ? line.words.last : nil
      })
  }
}
