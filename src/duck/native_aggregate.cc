#include "duck/native_aggregate.h"

#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/function/aggregate_function.hpp"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"

namespace weir {
namespace {
constexpr size_t kStatesPerPage = 1024;
}

struct NativeAggregate::Impl {
  ExpressionPtr call;
  const duckdb::BoundAggregateExpression* bound;
  duckdb::ArenaAllocator arena{duckdb::Allocator::DefaultAllocator()};
  duckdb::idx_t state_size = 0;
  std::vector<std::unique_ptr<duckdb::data_t[]>> pages;
  size_t groups = 0;
  duckdb::Vector addresses{duckdb::LogicalType::POINTER};

  duckdb::data_ptr_t State(size_t group) {
    return pages[group / kStatesPerPage].get() + (group % kStatesPerPage) * state_size;
  }
  duckdb::AggregateInputData Input() {
    return duckdb::AggregateInputData(bound->bind_info.get(), arena);
  }
};

NativeAggregate::NativeAggregate(const AggregateCall& call) : impl_(std::make_unique<Impl>()) {
  impl_->call = call.call;
  impl_->bound = &call.call->Cast<duckdb::BoundAggregateExpression>();
  impl_->state_size = duckdb::AlignValue(impl_->bound->function.state_size(impl_->bound->function));
}

NativeAggregate::~NativeAggregate() {
  auto& function = impl_->bound->function;
  if (!function.HasStateDestructorCallback()) return;
  auto input = impl_->Input();
  auto* addresses = duckdb::FlatVector::GetDataUnsafe<duckdb::data_ptr_t>(impl_->addresses);
  for (size_t group = 0; group < impl_->groups;) {
    duckdb::idx_t count = 0;
    while (count < STANDARD_VECTOR_SIZE && group < impl_->groups) {
      addresses[count++] = impl_->State(group++);
    }
    function.destructor(impl_->addresses, input, count);
  }
}

void NativeAggregate::Grow(size_t groups) {
  auto& function = impl_->bound->function;
  while (impl_->groups < groups) {
    if (impl_->groups % kStatesPerPage == 0) {
      impl_->pages.push_back(
          std::make_unique<duckdb::data_t[]>(kStatesPerPage * impl_->state_size));
    }
    function.initialize(function, impl_->State(impl_->groups));
    impl_->groups++;
  }
}

void NativeAggregate::Update(duckdb::DataChunk& arguments, const uint32_t* slots) {
  auto* addresses = duckdb::FlatVector::GetDataUnsafe<duckdb::data_ptr_t>(impl_->addresses);
  for (duckdb::idx_t i = 0; i < arguments.size(); i++) addresses[i] = impl_->State(slots[i]);
  auto input = impl_->Input();
  impl_->bound->function.update(arguments.ColumnCount() ? arguments.data.data() : nullptr, input,
                                arguments.ColumnCount(), impl_->addresses, arguments.size());
}

void NativeAggregate::Result(const uint32_t* slots, duckdb::idx_t count, duckdb::Vector& out) {
  auto* addresses = duckdb::FlatVector::GetDataUnsafe<duckdb::data_ptr_t>(impl_->addresses);
  for (duckdb::idx_t i = 0; i < count; i++) addresses[i] = impl_->State(slots[i]);
  auto input = impl_->Input();
  impl_->bound->function.finalize(impl_->addresses, input, out, count, 0);
}

size_t NativeAggregate::Bytes() const {
  return impl_->pages.size() * kStatesPerPage * impl_->state_size + impl_->arena.AllocationSize();
}

}  // namespace weir
