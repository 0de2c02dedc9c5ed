// A circuit that has no memory midway is as it was before.
#include "flow/circuit.h"

#include <gtest/gtest.h>

#include "base/test_allocations.h"

namespace weir {
namespace {

class Node : public Operator {
 public:
  Node() : Operator("node", {duckdb::LogicalType::INTEGER}, false) {}
  void Push(size_t, duckdb::DataChunk& rows, const int64_t* weights) override {
    Emit(rows, weights);
  }
  bool WantsClock() const override { return true; }
};

std::unique_ptr<SourceOperator> MakeSource() {
  return std::make_unique<SourceOperator>("1", RowTypes{duckdb::LogicalType::INTEGER},
                                          std::vector<std::string>{"n"});
}

// A source and on it a chain of nodes with these names, each of which also reads the source, and
// the one before twice.
void AddChain(Circuit& circuit, const std::string& names) {
  Operator* source = circuit.Add(MakeSource(), {}, "source");
  Operator* last = source;
  std::string fingerprint;
  for (char name : names) {
    last = circuit.Add(std::make_unique<Node>(), {last, source, last}, fingerprint += name);
  }
}

TEST(Circuit, AnOperatorThatThereIsNoMemoryForIsNotThere) {
  int failed = 0;
  for (int64_t n = 0;; n++) {
    Circuit circuit;
    AddChain(circuit, "abc");
    auto node = std::make_unique<Node>();
    std::vector<Operator*> inputs = {circuit.operators()[2].get(), circuit.operators()[3].get()};
    std::string fingerprint = "a name that takes memory of its own";
    FailingAllocations::After(n);
    try {
      circuit.Add(std::move(node), std::move(inputs), std::move(fingerprint));
    } catch (const std::bad_alloc&) {
      failed++;
    }
    FailingAllocations::Never();
    circuit.CheckInvariants();
    if (!FailingAllocations::Happened()) break;
    EXPECT_EQ(circuit.operators().size(), 4u);
    AddChain(circuit, "abcd");
    circuit.CheckInvariants();
  }
  EXPECT_GT(failed, 3);
}

TEST(Circuit, WhatCannotBeAbsorbedForWantOfMemoryStaysWhereItIs) {
  int failed = 0;
  for (int64_t n = 0;; n++) {
    Circuit here, other;
    AddChain(here, "abc");
    AddChain(other, "abxyz");
    FailingAllocations::After(n);
    bool done = false;
    try {
      auto went = here.Absorb(other);
      done = true;
      EXPECT_EQ(went.size(), 6u);
    } catch (const std::bad_alloc&) {
      failed++;
    }
    FailingAllocations::Never();
    here.CheckInvariants();
    other.CheckInvariants();
    EXPECT_EQ(here.operators().size(), done ? 7u : 4u);
    EXPECT_EQ(other.operators().size(), done ? 0u : 6u);
    if (!FailingAllocations::Happened()) break;
    if (!done) here.Absorb(other);
    here.CheckInvariants();
    EXPECT_EQ(here.operators().size(), 7u);
  }
  EXPECT_GT(failed, 5);
}

}  // namespace
}  // namespace weir
