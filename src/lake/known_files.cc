#include "lake/known_files.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/quoted.h"
#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "duckdb/common/multi_file/multi_file_reader.hpp"
#include "duckdb/execution/expression_executor.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parser/parsed_data/create_table_function_info.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/storage/statistics/node_statistics.hpp"
#include "lake/storage.h"

namespace weir {
namespace {

using duckdb::BoundBetweenExpression;
using duckdb::BoundColumnRefExpression;
using duckdb::BoundComparisonExpression;
using duckdb::BoundConjunctionExpression;
using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::ExpressionType;
using duckdb::LogicalTypeId;

// What one of the two columns has in a file: both ends are values of rows, or lie beyond them.
struct Range {
  duckdb::Value least, most;
};

// Whether a file may have a row for which a filter holds.  What it does not understand may.
class Question {
 public:
  Question(duckdb::ClientContext& context, const duckdb::MultiFilePushdownInfo& info,
           const FileExtent& extent)
      : context_(context), info_(info), extent_(extent) {}

  bool MayHold(const Expression& filter) const {
    switch (filter.GetExpressionClass()) {
      case ExpressionClass::BOUND_COMPARISON: {
        auto& comparison = filter.Cast<BoundComparisonExpression>();
        ExpressionType type = comparison.GetExpressionType();
        return MayCompare(type, *comparison.left, *comparison.right) &&
               MayCompare(duckdb::FlipComparisonExpression(type), *comparison.right,
                          *comparison.left);
      }
      case ExpressionClass::BOUND_BETWEEN: {
        auto& between = filter.Cast<BoundBetweenExpression>();
        return MayCompare(between.LowerComparisonType(), *between.input, *between.lower) &&
               MayCompare(between.UpperComparisonType(), *between.input, *between.upper);
      }
      case ExpressionClass::BOUND_CONJUNCTION: {
        auto& parts = filter.Cast<BoundConjunctionExpression>().children;
        auto may = [&](auto& part) { return MayHold(*part); };
        return filter.GetExpressionType() == ExpressionType::CONJUNCTION_OR
                   ? std::any_of(parts.begin(), parts.end(), may)
                   : std::all_of(parts.begin(), parts.end(), may);
      }
      default: return true;
    }
  }

 private:
  // Of a column's value on the left and a constant on the right.
  bool MayCompare(ExpressionType type, const Expression& column, const Expression& constant) const {
    auto range = RangeOf(column);
    duckdb::Value bound;
    if (!range || !constant.IsFoldable() || constant.return_type != range->least.type() ||
        !duckdb::ExpressionExecutor::TryEvaluateScalar(context_, constant, bound) ||
        bound.IsNull()) {
      return true;
    }
    switch (type) {
      case ExpressionType::COMPARE_EQUAL: return range->least <= bound && bound <= range->most;
      case ExpressionType::COMPARE_LESSTHAN: return range->least < bound;
      case ExpressionType::COMPARE_LESSTHANOREQUALTO: return range->least <= bound;
      case ExpressionType::COMPARE_GREATERTHAN: return range->most > bound;
      case ExpressionType::COMPARE_GREATERTHANOREQUALTO: return range->most >= bound;
      default: return true;
    }
  }

  std::optional<Range> RangeOf(const Expression& expression) const {
    if (expression.GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF) return std::nullopt;
    auto& column = expression.Cast<BoundColumnRefExpression>();
    if (column.depth > 0 || column.binding.table_index != info_.table_index) return std::nullopt;
    if (column.binding.column_index >= info_.column_ids.size()) return std::nullopt;
    auto id = info_.column_ids[column.binding.column_index];
    if (id >= info_.column_names.size()) return std::nullopt;  // no column of the files
    auto& name = info_.column_names[id];
    if (name == kOffsetName && column.return_type.id() == LogicalTypeId::UBIGINT) {
      return Range{duckdb::Value::UBIGINT(extent_.first.value),
                   duckdb::Value::UBIGINT(extent_.last.value)};
    }
    if (name == kArrivalTimeName && column.return_type.id() == LogicalTypeId::TIMESTAMP_TZ) {
      auto time = [](Micros micros) {
        return duckdb::Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(micros));
      };
      return Range{time(extent_.arrived_first), time(extent_.arrived_last)};
    }
    return std::nullopt;
  }

  duckdb::ClientContext& context_;
  const duckdb::MultiFilePushdownInfo& info_;
  const FileExtent& extent_;
};

// Knows how many rows there are, so that joins are planned without a look at the files.
class KnownList : public duckdb::SimpleMultiFileList {
 public:
  KnownList(duckdb::vector<duckdb::OpenFileInfo> files, const KnownFiles& known)
      : SimpleMultiFileList(std::move(files)), known_(known) {}

  // A file that is left of many is still read by all threads: nothing was read of it to plan by.
  duckdb::FileExpandResult GetExpandResult() const override {
    return paths.empty() ? duckdb::FileExpandResult::NO_FILES
                         : duckdb::FileExpandResult::MULTIPLE_FILES;
  }
  duckdb::unique_ptr<duckdb::NodeStatistics> GetCardinality(duckdb::ClientContext&) const override {
    uint64_t rows = 0;
    for (auto& file : paths) {
      if (auto extent = known_.Find(file.path)) rows += extent->rows;
    }
    return duckdb::make_uniq<duckdb::NodeStatistics>(rows, rows);
  }
  duckdb::unique_ptr<MultiFileList> Copy() const override {
    return duckdb::make_uniq<KnownList>(paths, known_);
  }

 private:
  const KnownFiles& known_;
};

class KnownReader : public duckdb::MultiFileReader {
 public:
  explicit KnownReader(const KnownFiles& known) : known_(known) { function_name = "weir_files"; }

  duckdb::shared_ptr<duckdb::MultiFileList> CreateFileList(
      duckdb::ClientContext& context, const duckdb::vector<duckdb::string>& paths,
      const duckdb::FileGlobInput& input) override {
    // A lone file is opened to plan by: its statistics are worth more than the open.
    if (paths.size() == 1) return MultiFileReader::CreateFileList(context, paths, input);
    duckdb::vector<duckdb::OpenFileInfo> files;
    for (auto& path : paths) files.emplace_back(path);
    return duckdb::make_shared_ptr<KnownList>(std::move(files), known_);
  }

  // True: the columns are known, so no file is opened for them.
  bool Bind(duckdb::MultiFileOptions&, duckdb::MultiFileList& files,
            duckdb::vector<duckdb::LogicalType>& types, duckdb::vector<duckdb::string>& names,
            duckdb::MultiFileReaderBindData&) override {
    if (!dynamic_cast<KnownList*>(&files)) return false;
    auto extent = known_.Find(files.GetFirstFile().path);
    if (!extent || !extent->columns) return false;
    names.assign(extent->columns->names.begin(), extent->columns->names.end());
    types.assign(extent->columns->types.begin(), extent->columns->types.end());
    return true;
  }

  duckdb::unique_ptr<duckdb::MultiFileList> ComplexFilterPushdown(
      duckdb::ClientContext& context, duckdb::MultiFileList& files, const duckdb::MultiFileOptions&,
      duckdb::MultiFilePushdownInfo& info,
      duckdb::vector<duckdb::unique_ptr<Expression>>& filters) override {
    if (filters.empty() || !dynamic_cast<KnownList*>(&files)) return nullptr;
    duckdb::vector<duckdb::OpenFileInfo> left;
    auto all = files.GetAllFiles();
    for (auto& file : all) {
      auto extent = known_.Find(file.path);
      auto may = [&](auto& filter) { return Question(context, info, *extent).MayHold(*filter); };
      if (!extent || std::all_of(filters.begin(), filters.end(), may)) left.push_back(file);
    }
    if (left.size() == all.size()) return nullptr;
    return duckdb::make_uniq<KnownList>(std::move(left), known_);
  }

  duckdb::unique_ptr<MultiFileReader> Copy() const override {
    return duckdb::make_uniq<KnownReader>(known_);
  }

 private:
  const KnownFiles& known_;
};

struct Info : duckdb::TableFunctionInfo {
  explicit Info(const KnownFiles& known) : known(known) {}
  const KnownFiles& known;
};

duckdb::unique_ptr<duckdb::MultiFileReader> MakeReader(const duckdb::TableFunction& function) {
  return duckdb::make_uniq<KnownReader>(function.function_info->Cast<Info>().known);
}

}  // namespace

void KnownFiles::Know(const std::string& path, FileExtent extent) {
  // Files would be left out that hold what is asked for.
  CHECK(extent.first <= extent.last && extent.arrived_first <= extent.arrived_last);
  std::lock_guard lock(mutex_);
  files_[path] = std::move(extent);
}

void KnownFiles::Forget() {
  std::lock_guard lock(mutex_);
  files_.clear();
}

std::optional<FileExtent> KnownFiles::Find(const std::string& path) const {
  std::lock_guard lock(mutex_);
  auto found = files_.find(path);
  if (found == files_.end()) return std::nullopt;
  return found->second;
}

void RegisterKnownFiles(duckdb::ClientContext& context, KnownFiles& files) {
  duckdb::TableFunctionSet functions("weir_files");
  context.RunFunctionInTransaction([&] {
    auto& parquet =
        duckdb::Catalog::GetSystemCatalog(context).GetEntry<duckdb::TableFunctionCatalogEntry>(
            context, DEFAULT_SCHEMA, "read_parquet");
    for (auto function : parquet.functions.functions) {
      function.get_multi_file_reader = MakeReader;
      function.function_info = duckdb::make_shared_ptr<Info>(files);
      function.name = "weir_files";
      functions.AddFunction(std::move(function));
    }
  });
  duckdb::CreateTableFunctionInfo info(std::move(functions));
  context.RegisterFunction(info);
}

std::string ReadKnownFiles(const std::vector<std::string>& paths) {
  std::string list;
  for (auto& path : paths) list += (list.empty() ? "" : ", ") + QuotedText(path);
  // Partition folders say what _arrival_time says better; they are for other readers.
  return "weir_files([" + list + "], hive_partitioning = false)";
}

}  // namespace weir
