// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

/// One point of the results: two sides of a configuration, and how operations are chosen.
public struct ComparePoint: Sendable {
  public var configuration: Configuration
  public var left: ResolvedSide
  public var right: ResolvedSide
  public var mode: CompareMode

  public init(_ configuration: Configuration, left: ResolvedSide, right: ResolvedSide, mode: CompareMode) {
    self.configuration = configuration
    self.left = left
    self.right = right
    self.mode = mode
  }

  /// `compare.CONFIGURATION.SIDES.MODE`; the left side is named where it is not the generic algorithms.
  public var name: String {
    let sides = left.word == "generic" ? right.word : "\(left.word)-\(right.word)"
    return "compare.\(configuration.slug).\(sides).\(mode.rawValue)"
  }
}

/// A configuration that two sides cannot both have.
public struct ComparePlanGap: Sendable {
  /// The name of the point that it would be.
  public var name: String
  /// Why there is none.
  public var reason: String
}

/// What is compared in a run.
public struct ComparePlan: Sendable {
  public private(set) var points: [ComparePoint] = []
  public private(set) var gaps: [ComparePlanGap] = []

  /// No points.
  public init() {}

  /// The points of some configurations, in their order.
  ///
  /// Configurations that one side cannot have are gaps.
  public init(
    _ configurations: [Configuration], left: CompareSide, right: CompareSide, modes: [CompareMode]
  ) {
    add(configurations, left: left, right: right, modes: modes)
  }

  /// Adds the points of some configurations, in their order.
  public mutating func add(
    _ configurations: [Configuration], left: CompareSide, right: CompareSide, modes: [CompareMode]
  ) {
    for configuration in configurations {
      do {
        try add(
          configuration, left: left.resolve(configuration), right: right.resolve(configuration), modes: modes)
      } catch {
        addGap(configuration, right.name.rawValue, reason: "\(error)")
      }
    }
  }

  /// Adds the points of each pair of sides of a configuration.
  public mutating func add(
    _ configuration: Configuration, left: [ResolvedSide], right: [ResolvedSide], modes: [CompareMode]
  ) {
    for leftSide in left {
      for rightSide in right {
        // What a library does is found out where it may do it.
        if rightSide.library == nil, let reason = Self.obstacle(configuration, rightSide) {
          addGap(configuration, rightSide.word, reason: reason)
          continue
        }
        for mode in modes {
          points.append(ComparePoint(configuration, left: leftSide, right: rightSide, mode: mode))
        }
      }
    }
  }

  /// Adds a configuration that two sides cannot both have.
  public mutating func addGap(_ configuration: Configuration, _ word: String, reason: String) {
    gaps.append(ComparePlanGap(name: "compare.\(configuration.slug).\(word)", reason: reason))
  }

  /// Where table memory of both sides starts, in bytes.
  public static func physicalBase(_ configuration: Configuration) -> UInt64 {
    (try? FormatShape(configuration)).map { CompareWorld.physicalBase(configuration, $0) } ?? 1 << 32
  }

  /// Why the generic algorithms cannot be compared with a side, or nil.
  public static func obstacle(_ configuration: Configuration, _ right: ResolvedSide) -> String? {
    guard case .legacy = right.kind, let subject = try? FormatShape(configuration) else { return nil }
    let base = physicalBase(configuration)
    do {
      let table = try right.make?(base, 16 << 20)
      defer { table?.destroy() }
      guard let level = table?.root.level, level != subject.geometry.topLevel, !subject.isDynamic else {
        return nil
      }
      return
        "the root is of level \(level), not \(subject.geometry.topLevel): 6.12 concatenates tables of stage 2 "
        + "wherever they fit, 7.3 and the generic code only where the architecture wants it"
    } catch {
      return "\(error)"
    }
  }

  /// Leaves one point of each configuration and pair of sides, whatever the modes.
  public mutating func keepOne() {
    var seen: Set<String> = []
    points = points.filter { seen.insert("\($0.configuration) \($0.left.word) \($0.right.word)").inserted }
  }

  /// The part of a run that is shard `index` of `count`, from 1: every point and gap is in exactly one shard.
  public func shard(_ index: Int, of count: Int) -> ComparePlan {
    var plan = self
    plan.points = points.enumerated().filter { $0.offset % count == index - 1 }.map(\.element)
    plan.gaps = gaps.enumerated().filter { $0.offset % count == index - 1 }.map(\.element)
    return plan
  }
}
