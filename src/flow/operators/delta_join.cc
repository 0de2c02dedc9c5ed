// A tree of inner joins that keeps nothing between its inputs.
//
// A change of one input is looked up through the indexes of all others, one after the other; each
// stands where the last chunk left it that this operator was told of (rows.h), which is the product
// rule for any number of inputs.  Where inputs are the same rows, those before the one that changes
// are looked at with the change and those behind it without.
//
// Any order of look-ups gives the same rows.  It is decided anew every so many chunks: of the
// indexes all of whose columns are bound, the one comes next that has given the fewest rows a
// look-up, so that what drops rows stands early and what multiplies them late.  Other equalities,
// and tests, are asked as soon as their columns are there.
//
// Cost: by changes, and what they are joined with on their way: at worst, rows that a later input
// drops.  State: none; an index more or less for some input than joins of two sides would have, but
// no rows of what those would keep between them.
// After: delta queries in Materialize (McSherry, 2020), on arrangements (McSherry et al., VLDB
// 2020).
#include "flow/operators/delta_join.h"

#include <algorithm>

#include "duck/constant.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "flow/state/weights.h"
#include "io/process/busy_file.h"

namespace weir {
namespace {

class DeltaJoin : public Operator {
 public:
  DeltaJoin(const SessionPtr& session, const DeltaJoinSpec& spec, RowTypes types)
      : Operator("delta join", std::move(types), spec.append_only), output_(spec.output) {
    RowTypes all;
    for (auto& input : spec.inputs) {
      inputs_.push_back({all.size(), input.size()});
      all.insert(all.end(), input.begin(), input.end());
      owner_.resize(all.size(), inputs_.size() - 1);
    }
    equal_of_.resize(all.size(), kNone);
    for (size_t i = 0; i < spec.equal.size(); i++) {
      for (size_t column : spec.equal[i].columns) equal_of_[column] = i;
      null_is_value_.push_back(spec.equal[i].null_is_value);
    }
    for (auto& index : spec.indexes) {
      auto& known = indexes_.emplace_back();
      known.input = index.input;
      RowTypes types_of_keys;
      for (size_t column : index.columns) {
        known.equal.push_back(equal_of_.at(column));
        types_of_keys.push_back(all[column]);
      }
      known.columns = index.columns;
      known.keys = std::make_unique<duckdb::DataChunk>();
      known.keys->InitializeEmpty(DuckTypes(types_of_keys));
    }
    for (auto& test : spec.tests) {
      Test known{std::make_unique<Selector>(session, std::vector<ExpressionPtr>{test}), 0, {}};
      std::vector<size_t> same(all.size());
      for (size_t i = 0; i < all.size(); i++) same[i] = i;
      std::vector<bool> used(all.size());
      MoveColumns(test, same, used);
      for (size_t i = 0; i < all.size(); i++) {
        if (!used[i]) continue;
        known.inputs |= Bit(owner_[i]);
        known.columns.push_back(i);
      }
      tests_.push_back(std::move(known));
    }
    for (size_t i = 0; i < spec.inputs.size(); i++) {
      auto& level = *levels_.emplace_back(std::make_unique<Level>());
      level.rows.InitializeEmpty(DuckTypes(all));
      for (auto& column : level.rows.data) SetNull(column);
      level.fetched.resize(spec.inputs.size());
    }
    out_.InitializeEmpty(DuckTypes(this->types()));
    bound_.resize(spec.equal.size());
    ways_.resize(spec.inputs.size());
  }

  void Push(size_t port, duckdb::DataChunk& rows, const int64_t* weights) override {
    if (port >= inputs_.size()) return;  // an index that is only looked into
    CHECK(rows.ColumnCount() == inputs_[port].width && indexes_[port].input == port);
    changed_ = port;
    auto& way = ways_[port];
    if (way.chunks_left-- == 0) FindWay(way);
    way_ = way.steps.data();
    auto& first = *levels_[0];
    for (size_t column : way_[0].fresh) {
      first.rows.data[column].Reference(rows.data[column - inputs_[port].first]);
    }
    first.count = rows.size();
    for (duckdb::idx_t i = 0; i < rows.size(); i++) first.weights[i] = weights ? weights[i] : 1;
    Narrow(0);
    GoOn(0);
  }

  bool HasState() const override { return true; }  // for it stands on what its indexes keep

 private:
  static constexpr size_t kNone = SIZE_MAX;
  static uint64_t Bit(size_t input) { return uint64_t{1} << input; }

  struct Input {
    size_t first, width;  // of its columns
  };
  struct Index {
    size_t input;
    std::vector<size_t> columns, equal;  // and the equality each column is of
    std::unique_ptr<duckdb::DataChunk> keys;
    double lookups = 0, found = 0;  // so far, the last ones more than those of long ago
  };
  struct Test {
    std::unique_ptr<Selector> holds;
    uint64_t inputs;
    std::vector<size_t> columns;
  };
  // Two columns that must be equal once both are there.
  struct Check {
    size_t left, right;
    bool null_is_value;
  };
  // What is done at a level: a look-up (of the first one there is none), then what must hold.
  struct Step {
    size_t index = kNone;
    std::vector<size_t> keys;  // bound columns that say what is looked up
    size_t input = 0;
    std::vector<size_t> carried, fresh;  // columns: of the level below, and of this input
    std::vector<size_t> not_null;
    std::vector<Check> checks;
    std::vector<Test*> tests;
  };
  // How a change of one input is looked up through the others: a step for each level.
  struct Way {
    std::vector<Step> steps;
    size_t chunks_left = 0;  // until it is thought over
  };
  struct Level {
    duckdb::DataChunk rows;  // all columns; those that are not bound may be anything
    duckdb::idx_t count = 0;
    int64_t weights[STANDARD_VECTOR_SIZE];
    std::vector<std::unique_ptr<duckdb::DataChunk>> fetched;  // by input
    // Rows of the level below and what was found for them.
    duckdb::SelectionVector from{STANDARD_VECTOR_SIZE};
    RowRef refs[STANDARD_VECTOR_SIZE];
  };

  // ---- the order of look-ups --------------------------------------------------------------------

  // Rows that a look-up is expected to give.
  double Expected(size_t index) const {
    auto& known = indexes_[index];
    double prior = static_cast<const Arrangement*>(inputs[index])->RowsByKey();
    return (known.found + prior) / (known.lookups + 1);
  }

  void FindWay(Way& way) {
    constexpr size_t kChunks = 64;
    way.chunks_left = kChunks;
    way.steps.assign(levels_.size(), Step());
    std::fill(bound_.begin(), bound_.end(), kNone);
    uint64_t there = Bit(changed_);
    uint64_t asked = 0;  // tests, by number
    for (size_t depth = 0; depth < levels_.size(); depth++) {
      Step& step = way.steps[depth];
      step.input = changed_;
      if (depth > 0) {
        step.index = Next(there);
        auto& index = indexes_[step.index];
        step.input = index.input;
        for (size_t equal : index.equal) {
          CHECK(bound_[equal] != kNone);
          step.keys.push_back(bound_[equal]);
        }
        there |= Bit(step.input);
      }
      Bind(step.input, step);
      for (size_t i = 0; i < tests_.size(); i++) {
        if ((tests_[i].inputs & ~there) != 0 || (asked >> i & 1) != 0) continue;
        asked |= uint64_t{1} << i;
        step.tests.push_back(&tests_[i]);
      }
    }
    ChooseColumns(way);
  }

  // Which columns each level has to have: what it asks of them, and what those above it need.
  void ChooseColumns(Way& way) const {
    std::vector<bool> needed(owner_.size());
    auto need = [&](const std::vector<size_t>& columns) {
      for (size_t column : columns) needed[column] = true;
    };
    need(output_);
    for (size_t depth = levels_.size(); depth-- > 0;) {
      Step& step = way.steps[depth];
      need(step.not_null);
      for (auto& check : step.checks) need({check.left, check.right});
      for (auto* test : step.tests) need(test->columns);
      for (size_t column = 0; column < needed.size(); column++) {
        if (!needed[column]) continue;
        bool is_fresh = owner_[column] == step.input;
        (is_fresh ? step.fresh : step.carried).push_back(column);
        if (is_fresh) needed[column] = false;  // below it is not there yet
      }
      need(step.keys);
    }
  }

  size_t Next(uint64_t there) const {
    size_t best = kNone;
    double fewest = 0;
    for (size_t i = 0; i < indexes_.size(); i++) {
      if (there & Bit(indexes_[i].input)) continue;
      bool can = std::all_of(indexes_[i].equal.begin(), indexes_[i].equal.end(),
                             [&](size_t equal) { return bound_[equal] != kNone; });
      if (!can) continue;
      double rows = Expected(i);
      if (best != kNone && rows >= fewest) continue;
      best = i;
      fewest = rows;
    }
    CHECK(best != kNone);  // the equalities connect all inputs
    return best;
  }

  // The columns of an input are there: each stands for its equality, or is compared with what does.
  void Bind(size_t input, Step& step) {
    for (size_t c = 0; c < inputs_[input].width; c++) {
      size_t column = inputs_[input].first + c, equal = equal_of_[column];
      if (equal == kNone) continue;
      if (bound_[equal] == kNone) {
        bound_[equal] = column;
        if (!null_is_value_[equal]) step.not_null.push_back(column);
        continue;
      }
      if (step.index != kNone) {
        auto& looked_up = indexes_[step.index].columns;
        if (std::find(looked_up.begin(), looked_up.end(), column) != looked_up.end()) continue;
      }
      step.checks.push_back({bound_[equal], column, null_is_value_[equal]});
    }
  }

  // ---- along it ---------------------------------------------------------------------------------

  // From the rows of a level to the next.
  void GoOn(size_t depth) {
    auto& level = *levels_[depth];
    CHECK(level.count <= STANDARD_VECTOR_SIZE);
    if (level.count == 0) return;
    if (depth + 1 == levels_.size()) return Give(level);
    StopIfInterrupted();
    auto& next = *levels_[depth + 1];
    auto& step = way_[depth + 1];
    auto& index = indexes_[step.index];
    auto& arranged = static_cast<Arrangement&>(*inputs[step.index]);
    auto& kept = arranged.rows();
    bool with_change =
        index.input < changed_ && &kept == &static_cast<Arrangement&>(*inputs[changed_]).rows();
    for (size_t c = 0; c < step.keys.size(); c++) {
      index.keys->data[c].Reference(level.rows.data[step.keys[c]]);
    }
    index.keys->SetCardinality(level.count);
    uint32_t slots[STANDARD_VECTOR_SIZE];
    arranged.Find(*index.keys, slots);
    RowRef firsts[STANDARD_VECTOR_SIZE];
    for (duckdb::idx_t i = 0; i < level.count; i++) {
      firsts[i] = slots[i] == kNoSlot ? kNoRow : arranged.First(slots[i]);
      if (firsts[i] != kNoRow) kept.store().PrefetchRow(firsts[i]);
    }
    next.count = 0;
    uint64_t found = 0;
    for (duckdb::idx_t i = 0; i < level.count; i++) {
      for (RowRef ref = firsts[i]; ref != kNoRow; ref = arranged.Next(ref)) {
        int64_t weight = kept.WeightOf(ref, with_change);
        if (weight == 0) continue;
        next.from.set_index(next.count, i);
        next.refs[next.count] = ref;
        next.weights[next.count++] = WeightProduct(level.weights[i], weight);
        found++;
        if (next.count == STANDARD_VECTOR_SIZE) Fetch(depth + 1, kept.store());
      }
    }
    Fetch(depth + 1, kept.store());
    Learn(index, level.count, found);
  }

  static void Learn(Index& index, duckdb::idx_t lookups, uint64_t found) {
    constexpr double kRemembered = 1 << 16;
    if (index.lookups > kRemembered) {
      index.lookups /= 2;
      index.found /= 2;
    }
    index.lookups += static_cast<double>(lookups);
    index.found += static_cast<double>(found);
  }

  // The rows that were found, beside those they were found for.
  void Fetch(size_t depth, const RowStore& store) {
    auto& level = *levels_[depth];
    if (level.count == 0) return;
    auto& below = *levels_[depth - 1];
    auto& step = way_[depth];
    auto& room = level.fetched[step.input];
    if (!room) {
      room = std::make_unique<duckdb::DataChunk>();
      room->Initialize(duckdb::Allocator::DefaultAllocator(), DuckTypes(store.types()));
    }
    auto& fetched = *room;
    fetched.Reset();
    store.Gather(level.refs, level.count, fetched, 0);
    // Most often each row has found one: then nothing has to be picked.
    bool all = level.count == below.count;
    for (duckdb::idx_t i = 0; i < level.count && all; i++) all = level.from.get_index(i) == i;
    for (size_t column : step.carried) {
      auto& values = level.rows.data[column];
      if (all) {
        values.Reference(below.rows.data[column]);
      } else {
        values.Slice(below.rows.data[column], level.from, level.count);
      }
    }
    for (size_t column : step.fresh) {
      level.rows.data[column].Reference(fetched.data[column - inputs_[step.input].first]);
    }
    Narrow(depth);
    GoOn(depth);
    level.count = 0;
  }

  // Drops the rows of a level for which something does not hold.
  void Narrow(size_t depth) {
    auto& level = *levels_[depth];
    auto& step = way_[depth];
    level.rows.SetCardinality(level.count);
    for (size_t column : step.not_null) {
      if (level.count > 0) DropNulls(level, step, level.rows.data[column]);
    }
    if (step.checks.empty() && step.tests.empty()) return;
    duckdb::SelectionVector holds(STANDARD_VECTOR_SIZE);
    for (auto& check : step.checks) {
      auto& left = level.rows.data[check.left];
      auto& right = level.rows.data[check.right];
      if (level.count == 0) return;
      Keep(level, step, holds,
           check.null_is_value ? duckdb::VectorOperations::NotDistinctFrom(
                                     left, right, nullptr, level.count, &holds, nullptr)
                               : duckdb::VectorOperations::Equals(left, right, nullptr, level.count,
                                                                  &holds, nullptr));
    }
    for (auto* test : step.tests) {
      if (level.count > 0) Keep(level, step, holds, test->holds->Select(level.rows, holds));
    }
  }

  static void DropNulls(Level& level, const Step& step, duckdb::Vector& column) {
    duckdb::UnifiedVectorFormat format;
    column.ToUnifiedFormat(level.count, format);
    if (format.validity.AllValid()) return;
    duckdb::SelectionVector holds(STANDARD_VECTOR_SIZE);
    duckdb::idx_t count = 0;
    for (duckdb::idx_t i = 0; i < level.count; i++) {
      if (format.validity.RowIsValid(format.sel->get_index(i))) holds.set_index(count++, i);
    }
    Keep(level, step, holds, count);
  }

  static void Keep(Level& level, const Step& step, duckdb::SelectionVector& holds,
                   duckdb::idx_t count) {
    if (count == level.count) return;
    for (duckdb::idx_t i = 0; i < count; i++) level.weights[i] = level.weights[holds.get_index(i)];
    for (auto* columns : {&step.carried, &step.fresh}) {
      for (size_t column : *columns) {
        if (count > 0) level.rows.data[column].Slice(holds, count);
      }
    }
    holds.Initialize(STANDARD_VECTOR_SIZE);  // the columns have what it was
    level.count = count;
    level.rows.SetCardinality(count);
  }

  void Give(Level& level) {
    for (size_t c = 0; c < output_.size(); c++) {
      out_.data[c].Reference(level.rows.data[output_[c]]);
    }
    out_.SetCardinality(level.count);
    bool only_additions = std::all_of(level.weights, level.weights + level.count,
                                      [](int64_t weight) { return weight == 1; });
    Emit(out_, only_additions ? nullptr : level.weights);
  }

  std::vector<Input> inputs_;
  std::vector<size_t> owner_, equal_of_;  // by column: its input, and its equality or kNone
  std::vector<bool> null_is_value_;       // by equality
  std::vector<Index> indexes_;            // as the operator's inputs
  std::vector<Test> tests_;
  std::vector<size_t> output_;
  std::vector<std::unique_ptr<Level>> levels_;
  std::vector<size_t> bound_;  // by equality: the column that stands for it
  std::vector<Way> ways_;      // by the input that changes
  // Of the change at hand: its input, and its way.
  size_t changed_ = 0;
  const Step* way_ = nullptr;
  duckdb::DataChunk out_;
};

}  // namespace

std::unique_ptr<Operator> MakeDeltaJoin(const SessionPtr& session, const DeltaJoinSpec& spec) {
  RowTypes all, types;
  for (auto& input : spec.inputs) all.insert(all.end(), input.begin(), input.end());
  for (size_t column : spec.output) types.push_back(all.at(column));
  return std::make_unique<DeltaJoin>(session, spec, std::move(types));
}

}  // namespace weir
