// SPDX-License-Identifier: GPL-2.0-only

import Glibc

/// One line on a terminal that says what is running; nothing where there is no terminal.
public final class TAPProgress {
  private let write: ((String) -> Void)?
  private var isShown = false

  /// Shows progress on standard error when it is a terminal.
  public convenience init() {
    let output = LineOutput(descriptor: STDERR_FILENO)
    self.init(isatty(STDERR_FILENO) == 1 ? { _ = output.write($0) } : nil)
  }

  /// Shows progress through `write`; nil shows none.
  public init(_ write: ((String) -> Void)?) { self.write = write }

  /// Replaces the line.
  public func show(_ text: String) {
    guard let write else { return }
    write("\r\(text)\u{1b}[K")
    isShown = true
  }

  /// Removes the line, so that other output has the terminal's line for itself.
  public func clear() {
    guard let write, isShown else { return }
    write("\r\u{1b}[K")
    isShown = false
  }
}
