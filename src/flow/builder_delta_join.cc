// Which joins become one (flow/operators/delta_join.cc): inner joins over one another, of three or
// more inputs, that equalities between columns connect.
//
// Such joins keep their inputs' rows either way, and as many indexes; what they save is every row
// of what joins of two sides keep between them.  So they are always taken where they can be: what
// is not known beforehand is only whether something between two of the inputs would have been so
// small that a change of a third is cheaper to look up there than through them, and the order of
// look-ups goes by what they have given so far.  Joins with keys that are computed (these can fail,
// and then it matters on which pairs), and those without any, stay joins of two sides; so do other
// kinds.
#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "flow/builder.h"
#include "flow/operators/delta_join.h"

namespace weir {
namespace {

constexpr size_t kInputsMax = 32, kTestsMax = 64;

bool IsPlain(const std::vector<ExpressionPtr>& tests) {
  return std::all_of(tests.begin(), tests.end(), [](auto& test) { return IsPlainTest(*test); });
}

bool AreColumns(const std::vector<ExpressionPtr>& expressions) {
  return std::all_of(expressions.begin(), expressions.end(),
                     [](auto& expression) { return AsColumn(expression).has_value(); });
}

// A node that gives no rows of its own but those of inner joins below it.
bool IsInnerJoin(const PlanNode& node) {
  switch (node.kind) {
    case PlanNode::Kind::kJoin:
      return node.join.kind == JoinKind::kInner && !node.join.threshold &&
             !node.join.left_keys.empty() && AreColumns(node.join.left_keys) &&
             AreColumns(node.join.right_keys) &&
             (!node.join.condition || IsPlainTest(*node.join.condition));
    case PlanNode::Kind::kFilter: return IsPlain(node.expressions) && IsInnerJoin(*node.inputs[0]);
    case PlanNode::Kind::kProject:
      return AreColumns(node.expressions) && IsInnerJoin(*node.inputs[0]);
    default: return false;
  }
}

// Joins over one another as one, with the columns of all inputs numbered through.
struct JoinTree {
  struct Equality {
    size_t left, right;
    bool null_is_value;
  };
  std::vector<const PlanNode*> inputs;
  std::vector<duckdb::LogicalType> types;  // of all columns
  std::vector<size_t> owner;               // of each column: its input
  std::vector<Equality> equalities;
  std::vector<ExpressionPtr> tests;
  std::map<size_t, std::string> names;  // of columns that are compared, for EXPLAIN
  std::string told;                     // all conditions, for EXPLAIN

  // Takes a node in; returns where its columns stand.
  std::vector<size_t> Add(const PlanNode& node) {
    if (!IsInnerJoin(node)) return AddInput(node);
    std::vector<size_t> below = Add(*node.inputs[0]);
    switch (node.kind) {
      case PlanNode::Kind::kFilter:
        for (auto& test : node.expressions) AddTest(test, below);
        return below;
      case PlanNode::Kind::kProject:
        return Pick(node.expressions.size(),
                    [&](size_t i) { return below.at(*AsColumn(node.expressions[i])); });
      default: break;
    }
    size_t left_count = below.size();
    auto right = Add(*node.inputs[1]);
    below.insert(below.end(), right.begin(), right.end());
    auto& join = node.join;
    told += (told.empty() ? "" : ", ") + Describe(node);
    for (size_t i = 0; i < join.left_keys.size(); i++) {
      names[below.at(*AsColumn(join.left_keys[i]))] = Describe(join.left_keys[i]);
      names[below.at(left_count + *AsColumn(join.right_keys[i]))] = Describe(join.right_keys[i]);
      equalities.push_back({below.at(*AsColumn(join.left_keys[i])),
                            below.at(left_count + *AsColumn(join.right_keys[i])),
                            join.null_is_value[i]});
    }
    if (join.condition) AddTest(join.condition, below);
    return Pick(join.columns.size(), [&](size_t i) { return below.at(join.columns[i]); });
  }

  // Columns that are equal to one another, however they are so: by equality, a number for each
  // column.  Once one of its equalities is not of NULLs, none of its columns is NULL.
  std::vector<DeltaJoinSpec::Equal> Equals() const {
    std::vector<size_t> root(types.size());
    std::iota(root.begin(), root.end(), size_t{0});
    auto find = [&](size_t column) {
      while (root[column] != column) column = root[column];
      return column;
    };
    for (auto& equality : equalities) root[find(equality.left)] = find(equality.right);
    std::map<size_t, DeltaJoinSpec::Equal> by_root;
    for (auto& equality : equalities) {
      auto [equal, is_new] = by_root.try_emplace(find(equality.left));
      equal->second.null_is_value =
          (is_new || equal->second.null_is_value) && equality.null_is_value;
    }
    for (size_t column = 0; column < types.size(); column++) {
      auto equal = by_root.find(find(column));
      if (equal != by_root.end()) equal->second.columns.push_back(column);
    }
    std::vector<DeltaJoinSpec::Equal> all;
    for (auto& [column, equal] : by_root) all.push_back(std::move(equal));
    return all;
  }

  // What inputs are looked up by: for each two that equalities connect, the columns these are of.
  std::vector<DeltaJoinSpec::Index> Indexes() const {
    std::map<std::pair<size_t, size_t>, std::vector<size_t>> between;
    auto add = [&](size_t column, size_t other) {
      auto& columns = between[{owner[column], owner[other]}];
      if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
        columns.push_back(column);
      }
    };
    for (auto& equality : equalities) {
      add(equality.left, equality.right);
      add(equality.right, equality.left);
    }
    std::vector<DeltaJoinSpec::Index> first, others;
    for (auto& [inputs_of, columns] : between) {
      std::sort(columns.begin(), columns.end());
      DeltaJoinSpec::Index index{inputs_of.first, columns};
      bool is_first = first.empty() || first.back().input != index.input;
      auto same = [&index](auto& known) {
        return known.input == index.input && known.columns == index.columns;
      };
      if (std::any_of(first.begin(), first.end(), same) ||
          std::any_of(others.begin(), others.end(), same)) {
        continue;
      }
      (is_first ? first : others).push_back(std::move(index));
    }
    first.insert(first.end(), others.begin(), others.end());
    return first;
  }

 private:
  template <class At>
  static std::vector<size_t> Pick(size_t count, At at) {
    std::vector<size_t> picked;
    for (size_t i = 0; i < count; i++) picked.push_back(at(i));
    return picked;
  }
  std::vector<size_t> AddInput(const PlanNode& node) {
    std::vector<size_t> columns(node.types.size());
    std::iota(columns.begin(), columns.end(), types.size());
    types.insert(types.end(), node.types.begin(), node.types.end());
    owner.resize(types.size(), inputs.size());
    inputs.push_back(&node);
    return columns;
  }
  void AddTest(const ExpressionPtr& test, const std::vector<size_t>& columns) {
    // Inputs that come later may have more columns than there are yet.
    size_t most = columns.empty() ? 0 : *std::max_element(columns.begin(), columns.end()) + 1;
    std::vector<bool> used(most);
    tests.push_back(MoveColumns(test, columns, used));
  }
};

// A column that two stand for may be of two equalities.
template <class Equals>
bool AnyIsOfTwo(const Equals& equals) {
  std::set<size_t> compared;
  for (auto& equal : equals) {
    for (size_t column : equal.columns) {
      if (!compared.insert(column).second) return true;
    }
  }
  return false;
}

// What tells a join from others of the same indexes.
std::string IdentityOf(const DeltaJoinSpec& spec) {
  std::string identity;
  for (auto& equal : spec.equal) {
    for (size_t column : equal.columns) identity += std::to_string(column) + ",";
    identity += equal.null_is_value ? "n;" : "=;";
  }
  identity += "/" + Fingerprint(spec.tests) + "/";
  for (size_t column : spec.output) identity += std::to_string(column) + ",";
  return identity;
}

}  // namespace

std::optional<CircuitBuilder::Built> CircuitBuilder::DeltaJoin(const PlanNode& node) {
  if (!IsInnerJoin(node)) return std::nullopt;
  JoinTree tree;
  DeltaJoinSpec spec;
  spec.output = tree.Add(node);
  if (tree.inputs.size() < 3 || tree.inputs.size() > kInputsMax) return std::nullopt;
  if (tree.tests.size() > kTestsMax) return std::nullopt;
  spec.equal = tree.Equals();
  for (auto& equal : spec.equal) {
    for (size_t column : equal.columns) {
      if (tree.types[column] != tree.types[equal.columns[0]]) return std::nullopt;
    }
  }
  spec.indexes = tree.Indexes();
  std::vector<Operator*> inputs, indexes;
  std::vector<size_t> firsts, places;  // of each input's columns the first; where the tree's stand
  size_t width = 0;
  spec.append_only = true;
  for (auto* node_of : tree.inputs) {
    Built input = JoinInput(*node_of);
    for (size_t column : input.columns) places.push_back(width + column);
    firsts.push_back(width);
    width += input.op->types().size();
    inputs.push_back(input.op);
    spec.inputs.push_back(input.op->types());
    spec.append_only &= input.op->append_only();
  }
  CHECK(places.size() == tree.types.size() && spec.indexes.size() >= inputs.size());
  // Rows of an input are told through the index of its number.
  for (size_t i = 0; i < inputs.size(); i++) CHECK(spec.indexes[i].input == i);
  auto move = [&](std::vector<size_t>& columns) {
    for (size_t& column : columns) column = places[column];
  };
  auto move_set = [&](std::vector<size_t>& columns) {
    move(columns);
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  };
  move(spec.output);
  for (auto& equal : spec.equal) move_set(equal.columns);
  for (auto& index : spec.indexes) move_set(index.columns);
  if (AnyIsOfTwo(spec.equal)) return std::nullopt;
  std::vector<bool> used(width);
  for (auto& test : tree.tests) spec.tests.push_back(MoveColumns(test, places, used));
  std::map<size_t, std::string> names;
  for (auto& [column, name] : tree.names) names[places[column]] = name;
  std::string identity = IdentityOf(spec);
  for (auto& index : spec.indexes) {
    std::vector<ExpressionPtr> keys;
    std::string detail;
    for (size_t column : index.columns) {
      CHECK(column >= firsts[index.input]);
      detail += (detail.empty() ? "by " : ", ") + names.at(column);
      size_t place = column - firsts[index.input];
      keys.push_back(ColumnReference(place, spec.inputs[index.input][place]));
      identity += std::to_string(column) + ",";
    }
    identity += ";";
    indexes.push_back(AddIndex(inputs[index.input], keys, detail, ""));
  }
  auto join = MakeDeltaJoin(session_, spec);
  join->upkeep.Add(Upkeep::Rung::kClosedForm,
                   "nothing between its " + std::to_string(inputs.size()) +
                       " inputs is kept: a change of one is looked up through the others");
  auto* op = Add(std::move(join), std::move(indexes), identity, tree.told);
  return Built{op, Identity(op->types().size())};
}

}  // namespace weir
