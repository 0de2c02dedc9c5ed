// A bound plan to operators in a circuit.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "duck/plan/plan.h"
#include "flow/circuit.h"

namespace weir {

class CircuitBuilder {
 public:
  // What a source name in a plan stands for.
  struct Named {
    bool is_stream = false;
    RowTypes stream_types;                   // of a stream
    std::vector<std::string> stream_names;   // of its columns, for people
    std::vector<size_t> primary_key;         // of a table: a stream of its changes
    std::string identity;                    // tells streams apart that had the same name
    std::optional<WatermarkSpec> watermark;  // of a stream
    bool append_only = true;
    Plan plan;  // of a materialized view
  };
  using Resolve = std::function<Named(const std::string& name)>;

  // `scope` is part of every fingerprint: what, besides the plan, decides what operators compute
  // (the time zone).
  CircuitBuilder(Circuit& circuit, SessionPtr session, std::string scope, Resolve resolve);

  // The output of a view, or nothing when some part has no incremental operator: then
  // unsupported() says which.  Operators made on the way may stay in the circuit unused
  // (Circuit::KeepOnly).
  OutputOperator* Build(const std::string& view, const Plan& plan);
  // The end of a pump; also nothing when rows may go again.  `not_null`: as EmitOperator takes it.
  EmitOperator* BuildEmit(const std::string& pump, const Plan& plan,
                          std::vector<std::string> not_null);
  const std::string& unsupported() const { return unsupported_; }
  const std::string& hint() const { return hint_; }  // what would help; "" when nothing is known

 private:
  // What is over by a watermark: `expiry` over the rows of an operator.
  struct Bound {
    Expiry expiry;
    Operator* watermark = nullptr;
    std::string stream;  // whose rows they are
  };
  // An operator and where each column of the plan node stands in its rows.
  struct Built {
    Operator* op = nullptr;
    std::vector<size_t> columns;
    std::vector<Bound> bounds = {};
    bool prompt = false;  // a row comes when its event does, and never goes
  };
  struct NotIncremental {
    std::string reason, hint;
  };

  Built Visit(const PlanNode& node);
  Built Source(const PlanNode& node);
  Built Filter(const PlanNode& node);
  Built ClockFilter(const PlanNode& node);
  Built Project(const PlanNode& node);
  Built Unnest(const PlanNode& node);
  Built RowFunction(const PlanNode& node);
  Built UnionAll(const PlanNode& node);
  Built Aggregate(const PlanNode& node);
  void MarkSummed(const PlanNode& aggregate);
  Built GroupingSet(const PlanNode& node, const Built& input, const std::vector<size_t>& set);
  std::optional<Built> BucketedAggregate(const PlanNode& node);
  Built Distinct(const PlanNode& node);
  Built Join(const PlanNode& node);  // builder_joins.cc
  std::optional<Built> Threshold(const PlanNode& node);
  Operator* AddRows(Operator* input, const std::string& owner, const std::optional<Bound>& over);
  Built JoinInput(const PlanNode& node);
  Operator* AddIndex(Operator* input, const std::vector<ExpressionPtr>& keys, std::string detail,
                     const std::string& owner, const std::optional<Bound>& over = {});
  std::optional<Built> DeltaJoin(const PlanNode& node);  // builder_delta_join.cc
  Built GroupTop(const PlanNode& node);
  Built Session(const PlanNode& node);
  Built SetOperation(const PlanNode& node);
  Built WindowClose(const PlanNode& node);
  std::optional<Built> AggregateOnClose(const PlanNode& node);
  Built Batch(const PlanNode& node);
  Built Window(const PlanNode& node);
  Built Recursion(const PlanNode& node);
  Built Top(const PlanNode& node);
  Built Constant(const PlanNode& node);

  SourceOperator* AddSource(const std::string& name, const Named& named);
  // builder_event_time.cc
  Operator* Watermark(std::vector<std::string> streams);
  std::optional<Bound> EndOfPartners(const PlanNode& join, size_t side);
  bool RowsEnd(const PlanNode& join);
  static bool Says(const std::vector<Bound>& bounds, const Expiry& expiry,
                   const std::vector<std::string>& streams);
  static std::vector<Bound> BoundsOver(const std::vector<Bound>& bounds,
                                       const std::vector<ExpressionPtr>& projected);
  static std::vector<Bound> DenseBounds(const Built& built, const RowTypes& types);

  static std::vector<size_t> Identity(size_t count);  // 0, 1, 2, ...
  Operator* Dense(const Built& built, const RowTypes& types);
  ExpressionPtr Over(const Built& input, const ExpressionPtr& expression);
  std::vector<ExpressionPtr> Over(const Built& input,
                                  const std::vector<ExpressionPtr>& expressions);
  Operator* Add(std::unique_ptr<Operator> op, std::vector<Operator*> inputs,
                const std::string& identity, std::string detail);
  Operator* AddTable(Operator* changes, const Named& named, const SourceScan& scan);
  Operator* AddAggregate(Operator* input, AggregateSpec spec, std::string detail,
                         Operator* watermark = nullptr);
  Operator* AddProject(Operator* input, std::vector<ExpressionPtr> expressions, std::string detail);
  void MarkRead(Operator* op, const std::vector<bool>& used);

  Circuit& circuit_;
  SessionPtr session_;
  std::string scope_;
  Resolve resolve_;
  std::map<std::string, Built> views_;            // materialized views built on the way
  std::map<const PlanNode*, Built> visited_;      // nodes that are the input of several
  std::set<const PlanNode*> summed_;              // of whose rows only weights are added up
  std::vector<std::shared_ptr<PlanNode>> plans_;  // keeps the keys of visited_ alive
  std::string unsupported_, hint_;
  std::string goes_back_;  // a bound of the clock that does
};

}  // namespace weir
