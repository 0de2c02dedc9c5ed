#include "flow/operators/joins.h"

#include "duck/errors.h"
#include "flow/operators/join_traits.h"

namespace weir {
namespace {

bool CountsByRow(const JoinSpec& spec) {
  auto traits = JoinTraits::Of(spec.kind);
  return !spec.condition.empty() && (traits.tracked(0) || traits.tracked(1));
}

}  // namespace

JoinSide SideOf(const JoinSpec& spec, int side) {
  auto traits = JoinTraits::Of(spec.kind);
  bool looked_at = traits.pairs || !spec.condition.empty() || traits.tracked(side);
  if (!looked_at) return JoinSide::kCounted;
  bool keeps = traits.tracked(side) && (traits.mark || CountsByRow(spec));
  return keeps ? JoinSide::kOwn : JoinSide::kShared;
}

RowTypes KeyTypes(const JoinSpec& spec) {
  RowTypes types;
  for (auto& key : spec.left_keys) types.push_back(TypeOf(key));
  return types;
}

std::unique_ptr<Operator> MakeJoin(const SessionPtr& session, const JoinSpec& spec) {
  RowTypes types = spec.left;
  bool append_only = spec.append_only[0] && spec.append_only[1];
  switch (spec.kind) {
    case JoinKind::kSemi: break;
    case JoinKind::kAnti: append_only = false; break;
    case JoinKind::kMark:
      types.push_back(duckdb::LogicalType::BOOLEAN);
      append_only = false;
      break;
    default:
      types.insert(types.end(), spec.right.begin(), spec.right.end());
      append_only = append_only && spec.kind == JoinKind::kInner;
  }
  auto make = CountsByRow(spec)              ? MakeMatchingJoin
              : spec.kind == JoinKind::kMark ? MakeMarkJoin
                                             : MakeKeyJoin;
  return make(session, spec, std::move(types), append_only);
}

void SayAllWithAll(Operator& join, const JoinSpec& spec) {
  if (!spec.left_keys.empty()) return;
  join.upkeep.Add(Upkeep::Rung::kTouched,
                  "no equality binds the two sides: a row that changes meets all rows of the other",
                  "With an equality in the join's condition partners are looked up.");
}

ExpressionFailed Crowd() {
  return ExpressionFailed(Error(ErrorCode::kQueryFailed,
                                "more than one row returned by a subquery used as an expression"),
                          "scalar subquery");
}

}  // namespace weir
