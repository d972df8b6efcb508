// SPDX-License-Identifier: GPL-2.0-only

import Compare
import LibraryTarget
import PageTable

/// Compares with libraries: points are shared out among threads, each of which supervises one process at a time.
struct LibraryComparison {
  var points: [ComparePoint]
  /// Run these instead of any others.
  var operations: [Operation]?
  var budget: CompareBudget
  var jobs: Int
  var supervisor: CompareSupervisor

  /// A process has so many points at most: what a library leaks ends with it.
  private static let pieceLimit = 8

  /// Runs all points; `done` takes each point's report in the points' order.
  func run(_ done: (ComparePoint, CompareTaskReport) -> Void) {
    // Where there are few points, threads share the episodes of each.
    let parts = operations == nil && points.count < jobs ? jobs : 1
    let tasks = points.indices.flatMap { point in
      (0..<(points[point].mode == .random ? parts : 1)).map { part in
        (
          point: point,
          task: CompareTask(
            points[point], operations: operations, budget: budget,
            part: (part, points[point].mode == .random ? parts : 1))
        )
      }
    }
    let length = min(Self.pieceLimit, max(1, tasks.count / (jobs * 4)))
    let pieces = stride(from: 0, to: tasks.count, by: length).map { $0..<min($0 + length, tasks.count) }
    let work = Board<Void>(pieces.count)
    let reports = Board<CompareTaskReport>(tasks.count)
    let workers = Workers(min(jobs, pieces.count)) { [supervisor] _ in
      while let piece = work.take() {
        var next = pieces[piece].lowerBound
        supervisor.run(tasks[pieces[piece]].map(\.task)) { report in
          reports.put(report, at: next)
          next += 1
        }
      }
    }
    var next = 0
    for (number, point) in points.enumerated() {
      var whole: CompareTaskReport?
      while next < tasks.count, tasks[next].point == number {
        let report = reports.wait(for: next)
        if whole == nil { whole = report } else { whole?.add(report) }
        next += 1
      }
      if let whole { done(point, whole) }
    }
    workers.join()
  }
}
