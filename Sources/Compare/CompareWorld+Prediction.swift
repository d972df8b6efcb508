// SPDX-License-Identifier: GPL-2.0-only

import Conformance
import PageTable

extension CompareWorld {
  /// What predicts a side's results.
  func predictor(of side: ResolvedSide, _ live: LiveSide, isRight: Bool) -> any Predictor {
    if case .legacy(let configuration) = side.kind { return LegacyModel(configuration, self, live) }
    return isRight ? MappingModel(rightSubject) : MappingModel(subject)
  }
}
