// SPDX-License-Identifier: GPL-2.0-only

import Foundation
import TAP
import Testing

/// The tarball of `make dist`, unpacked.
private struct Tarball {
  /// Where it is: $PTKIT_DIST, which `make dist-check` sets.
  static let path: URL? = ProcessInfo.processInfo.environment["PTKIT_DIST"].flatMap {
    $0.isEmpty ? nil : URL(fileURLWithPath: $0, relativeTo: Places.repository).absoluteURL
  }

  let scratch: Scratch
  /// The one folder in it.
  let folder: URL

  init() throws {
    let path = try #require(Self.path)
    scratch = try Scratch()
    let run = try Run.program(
      URL(fileURLWithPath: "/bin/tar"), ["-xJf", path.path, "-C", scratch.folder.path])
    try #require(run.status == 0, "\(run.errors)")
    folder = scratch.path(path.lastPathComponent.replacingOccurrences(of: ".tar.xz", with: ""))
  }

  func file(_ name: String) -> URL { folder.appendingPathComponent(name) }
}

/// What machines without a Swift toolchain get, in a bare chroot, under kselftest's runner, and in a virtual machine.
@Suite(
  "tarball", .serialized,
  .enabled(if: Tarball.path != nil, "set PTKIT_DIST to the tarball, as make dist-check does"))
struct DistTests {
  private let tarball: Tarball

  init() throws { tarball = try Tarball() }

  /// A stream without what differs from run to run.
  private static func withoutTimes(_ lines: [String]) -> [String] {
    lines.map { $0.replacing(/time: +[0-9.]+s/, with: "time: s") }
  }

  @Test("it has what it should, and is as small as said")
  func contents() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: tarball.folder.path).sorted()
    #expect(names == ["Golden", "LICENSE", "README.md", "ptkit", "run_selftests", "selftests"])
    func size(_ file: URL) throws -> Int {
      try #require(FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int)
    }
    #expect(try size(tarball.file("ptkit")) < 70_000_000)
    #expect(try size(#require(Tarball.path)) < 19_000_000)
    let headers = try Run.program(
      URL(fileURLWithPath: "/usr/bin/readelf"), ["-lW", tarball.file("ptkit").path])
    #expect(headers.status == 0 && !headers.output.contains("INTERP"))
  }

  @Test(
    "alone in a chroot it prints what make check prints, byte for byte but for times",
    .enabled(if: geteuid() == 0, "a chroot needs root"))
  func chroot() throws {
    let root = tarball.scratch.path("root")
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    for name in ["ptkit", "Golden"] {
      try FileManager.default.moveItem(at: tarball.file(name), to: root.appendingPathComponent(name))
    }
    let alone = try Run.program(URL(fileURLWithPath: "/usr/sbin/chroot"), [root.path, "/ptkit", "selftest"])
    let check = try Run.ptkit(["selftest"], folder: Places.repository)
    #expect(alone.status == 0 && check.status == 0, "\(alone.errors) \(check.errors)")
    #expect(check.points.count > 8000)
    let (left, right) = (Self.withoutTimes(alone.lines), Self.withoutTimes(check.lines))
    let difference = zip(left, right).first { $0 != $1 }
    #expect(left.count == right.count && difference == nil, "\(String(describing: difference))")
  }

  @Test("run_selftests runs from anywhere, also with a blank in the path, and passes arguments on")
  func anywhere() throws {
    let folder = tarball.scratch.path("another place")
    try FileManager.default.moveItem(at: tarball.folder, to: folder)
    let names = ["--seed", "7", "golden.cases.mali", "walker.mali"]
    let run = try Run.program(folder.appendingPathComponent("run_selftests"), names)
    let check = try Run.ptkit(["selftest"] + names, folder: Places.repository)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output == check.output)
  }

  @Test("what needs a shared library is an error that says so")
  func libraries() throws {
    let run = try Run.program(tarball.file("ptkit"), ["selftest", "--target", "lib:/nonexistent.so"])
    #expect(run.status != 0)
    #expect(run.output.contains("this ptkit is a static binary, which loads no library"), "\(run.output)")
  }

  // MARK: kselftest

  @Test(
    "copied as selftests/iommu_pt its programs pass under run_kselftest.sh",
    .enabled(
      if: KselftestFrame.source != nil && KselftestFrame.hasTools, "there is no tools/testing/selftests"))
  func kselftest() throws {
    let (frame, folder) = try install()
    try FileManager.default.removeItem(at: frame.suite)
    // The running kernel is not what is tested here.
    let (stream, run) = try frame.run(installed: folder, "-S iommu_pt:kernel.sh")
    #expect(run.status == 0, "\(run.errors)")
    #expect(stream.isSuccess && stream.totals[.pass] == ScriptTests.scripts.count - 1, "\(stream.totals)")
    #expect(stream.results.allSatisfy { $0.children?.results.isEmpty == false })
  }

  @Test(
    "stdbuf does nothing for a static binary, and still no line is lost on a timeout",
    .enabled(
      if: KselftestFrame.source != nil && KselftestFrame.hasTools, "there is no tools/testing/selftests"))
  func timeout() throws {
    let (frame, folder) = try install()
    try "timeout=3\n".write(
      to: folder.appendingPathComponent("iommu_pt/settings"), atomically: false, encoding: .utf8)
    let (stream, _) = try frame.run(
      installed: folder, "-t iommu_pt:walker.sh",
      ["KSELFTEST_WALKER_SH_ARGS": "semantics events allocfail --jobs 1"])
    #expect(stream.results.map(\.outcome) == [.error])
    #expect(stream.results.first?.children?.results.isEmpty == false)
  }

  private func install() throws -> (frame: KselftestFrame, folder: URL) {
    let frame = try KselftestFrame()
    try FileManager.default.removeItem(at: frame.suite)
    let copy = try Run.program(
      URL(fileURLWithPath: "/bin/cp"), ["-rL", tarball.file("selftests").path, frame.suite.path])
    try #require(copy.status == 0, "\(copy.errors)")
    let folder = frame.scratch.path("installed")
    let run = try frame.make(
      "-s -C tools/testing/selftests TARGETS=iommu_pt install KSFT_INSTALL_PATH=\(folder.path)", ["PTKIT": ""]
    )
    try #require(run.status == 0, "\(run.errors)")
    return (frame, folder)
  }

  // MARK: Virtual machine

  /// Boots it; a skip where there is no kernel or QEMU.
  private func boot(_ arguments: [String], _ environment: [String: String] = [:]) throws -> String {
    let run = try Run.program(
      Places.repository.appendingPathComponent("dist/boot"), [tarball.folder.path] + arguments,
      environment: environment)
    if run.status == 77 { try Test.cancel("\(run.errors)") }
    try #require(run.status == 0, "\(run.errors)\(run.output.suffix(2000))")
    return run.output
  }

  /// The one stream in a console's log.
  private func stream(_ log: String) throws -> KTAPStream {
    let streams = try KTAPReader.read(log).streams
    return try #require(streams.count == 1 ? streams.first : nil, "\(log.suffix(2000))")
  }

  @Test("in an initramfs with busybox it gives the results of make check")
  func initramfs() throws {
    let names = ["golden.cases", "walker", "concurrency"]
    let log = try boot(names)
    let (guest, host) = (
      try stream(log), try stream(Run.ptkit(["selftest"] + names, folder: Places.repository).output)
    )
    #expect(guest.isSuccess && guest.plan == host.plan)
    #expect(guest.results.map(\.name) == host.results.map(\.name))
    #expect(guest.results.map(\.outcome) == host.results.map(\.outcome))
  }

  @Test("it runs as the first process, with nothing else in the initramfs and no /proc")
  func firstProcess() throws {
    let stream = try stream(boot(["walker.mali"], ["INIT": "ptkit"]))
    #expect(stream.isSuccess && stream.results.count > 5)
    #expect(stream.results.allSatisfy { $0.name.hasPrefix("walker.mali.") })
  }
}
