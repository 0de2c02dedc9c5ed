// What the kinds of joins show.
#pragma once

#include "duck/plan/plan_node.h"

namespace weir {

struct JoinTraits {
  bool pairs = false;      // matching pairs are shown
  bool alone[2] = {};      // a row without partner is shown, with NULLs
  bool partnered[2] = {};  // a row with a partner is shown, once
  bool mark = false;       // each left row is shown, with whether it has a partner
  bool single = false;     // more than one partner is an error
  // Whether a row of this side has a partner says how it is shown.
  bool tracked(int side) const { return alone[side] || partnered[side] || (mark && side == 0); }

  static JoinTraits Of(JoinKind kind) {
    JoinTraits traits;
    switch (kind) {
      case JoinKind::kInner: traits.pairs = true; break;
      case JoinKind::kLeft: traits.pairs = traits.alone[0] = true; break;
      case JoinKind::kRight: traits.pairs = traits.alone[1] = true; break;
      case JoinKind::kFull: traits.pairs = traits.alone[0] = traits.alone[1] = true; break;
      case JoinKind::kSemi: traits.partnered[0] = true; break;
      case JoinKind::kAnti: traits.alone[0] = true; break;
      case JoinKind::kMark: traits.mark = true; break;
      case JoinKind::kSingle: traits.pairs = traits.alone[0] = traits.single = true; break;
    }
    return traits;
  }
};

}  // namespace weir
