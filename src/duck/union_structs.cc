#include "duck/union_structs.h"

#include "duckdb/common/types/vector.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/function/scalar_function.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parser/parsed_data/create_scalar_function_info.hpp"
#include "duckdb/planner/expression/bound_function_expression.hpp"

namespace weir {
namespace {

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Vector;

std::string TagName(const duckdb::child_list_t<LogicalType>& members) {
  std::string name = "tag";
  auto taken = [&] {
    for (auto& member : members) {
      if (duckdb::StringUtil::CIEquals(member.first, name)) return true;
    }
    return false;
  };
  while (taken()) name += "_";
  return name;
}

// Both are flat and of one layout.  Leaves share their memory.
void Relabel(Vector& from, Vector& to, idx_t count) {
  if (from.GetType() == to.GetType()) {
    to.Reference(from);
    return;
  }
  from.Flatten(count);
  to.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  duckdb::FlatVector::SetValidity(to, duckdb::FlatVector::Validity(from));
  switch (from.GetType().InternalType()) {
    case duckdb::PhysicalType::STRUCT: {
      auto& sources = duckdb::StructVector::GetEntries(from);
      auto& targets = duckdb::StructVector::GetEntries(to);
      for (size_t i = 0; i < sources.size(); i++) Relabel(*sources[i], *targets[i], count);
      return;
    }
    case duckdb::PhysicalType::LIST: {
      idx_t size = duckdb::ListVector::GetListSize(from);
      duckdb::ListVector::Reserve(to, size);
      duckdb::ListVector::SetListSize(to, size);
      auto* entries = duckdb::FlatVector::GetData<duckdb::list_entry_t>(from);
      std::copy(entries, entries + count, duckdb::FlatVector::GetData<duckdb::list_entry_t>(to));
      Relabel(duckdb::ListVector::GetEntry(from), duckdb::ListVector::GetEntry(to), size);
      return;
    }
    case duckdb::PhysicalType::ARRAY: {
      idx_t size = count * duckdb::ArrayType::GetSize(from.GetType());
      Relabel(duckdb::ArrayVector::GetEntry(from), duckdb::ArrayVector::GetEntry(to), size);
      return;
    }
    default: to.Reinterpret(from);
  }
}

void Run(duckdb::DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  Relabel(arguments.data[0], result, arguments.size());
}

duckdb::unique_ptr<duckdb::FunctionData> Bind(
    duckdb::ClientContext&, duckdb::ScalarFunction& function,
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>& arguments) {
  auto from = arguments[0]->return_type, to = arguments[1]->return_type;
  if (UnionsAsStructs(from) != UnionsAsStructs(to)) {
    throw duckdb::BinderException("a %s cannot be relabelled as a %s", from.ToString(),
                                  to.ToString());
  }
  function.arguments = {from, to};
  function.SetReturnType(to);
  return nullptr;
}

}  // namespace

LogicalType UnionsAsStructs(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::LIST:
      return LogicalType::LIST(UnionsAsStructs(duckdb::ListType::GetChildType(type)));
    case LogicalTypeId::ARRAY:
      return LogicalType::ARRAY(UnionsAsStructs(duckdb::ArrayType::GetChildType(type)),
                                duckdb::ArrayType::GetSize(type));
    case LogicalTypeId::MAP:
      return LogicalType::MAP(UnionsAsStructs(duckdb::MapType::KeyType(type)),
                              UnionsAsStructs(duckdb::MapType::ValueType(type)));
    case LogicalTypeId::STRUCT: {
      auto children = duckdb::StructType::GetChildTypes(type);
      for (auto& child : children) child.second = UnionsAsStructs(child.second);
      return LogicalType::STRUCT(children);
    }
    case LogicalTypeId::UNION: {
      duckdb::child_list_t<LogicalType> children;
      for (idx_t i = 0; i < duckdb::UnionType::GetMemberCount(type); i++) {
        children.emplace_back(duckdb::UnionType::GetMemberName(type, i),
                              UnionsAsStructs(duckdb::UnionType::GetMemberType(type, i)));
      }
      children.insert(children.begin(), {TagName(children), LogicalType::UTINYINT});
      return LogicalType::STRUCT(children);
    }
    default: return type;
  }
}

void RelabelVector(Vector& from, Vector& to, idx_t count) { Relabel(from, to, count); }

void RegisterUnionStructs(duckdb::ClientContext& context) {
  duckdb::ScalarFunction function("weir_relabel", {LogicalType::ANY, LogicalType::ANY},
                                  LogicalType::ANY, Run, Bind);
  function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
  duckdb::CreateScalarFunctionInfo info(function);
  context.RegisterFunction(info);
}

}  // namespace weir
