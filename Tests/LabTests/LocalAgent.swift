// SPDX-License-Identifier: GPL-2.0-only

import Glibc
import Machine

@testable import Lab

/// The agent as an ordinary process of this machine, at the other end of a socket.
final class LocalAgent {
  let machine: AgentMachine
  let line: AgentLine
  private let socket: LocalSocket
  let process: pid_t
  private static let home =
    String(#filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }) + "/lab"

  init() throws {
    let agent = "/tmp/ptkit-agent-\(getpid())-\(Deadline.now)"
    let build = try LabScript(["\(Self.home)/agent/build", "amd64", agent])
    guard build.status == 0 else { throw LabError(build.lastWords) }
    defer { unlink(agent) }
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0
    else {
      throw LabError.call("socketpair")
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(agent), nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let error = posix_spawn(&child, agent, &actions, nil, &arguments, environ)
    close(ends[1])
    socket = LocalSocket(descriptor: ends[0])
    guard error == 0 else { throw LabError("the agent cannot be started: \(error)") }
    process = child
    line = AgentLine(descriptor: ends[0])
    machine = AgentMachine(line)
    machine.callLimit = 10
    try line.waitForAgent(seconds: 10)
  }

  deinit {
    kill(process, SIGKILL)
    var status: Int32 = 0
    waitpid(process, &status, 0)
  }
}
