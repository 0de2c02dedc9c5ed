#include "duck/session.h"

#include <algorithm>

#include "base/error.h"
#include "duck/functions/calendar_functions.h"
#include "duck/functions/decimal_casts.h"
#include "duck/functions/exact_sums.h"
#include "duck/functions/interval_forms.h"
#include "duck/functions/transaction_time.h"
#include "duck/memory.h"
#include "duck/plan/asof_joins.h"
#include "duck/plan/event_time_functions.h"
#include "duck/plan/plan.h"
#include "duck/plan/row_subqueries.h"
#include "duck/plan/subquery_joins.h"
#include "duckdb/main/config.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/database.hpp"

namespace weir {
namespace {

// Empty sources have no statistics, and these passes would act on that (or on joins of sizes
// nobody knows); the rest of the optimizer does much of our work.
constexpr const char* kDisabledOptimizers =
    "statistics_propagation,compressed_materialization,late_materialization,"
    "top_n_window_elimination,build_side_probe_side,common_subplan,column_lifetime,"
    "join_filter_pushdown,join_elimination,row_group_pruner,sampling_pushdown,limit_pushdown,sum_"
    "rewriter";

}  // namespace

Kernel::Kernel(uint64_t memory_bytes) {
  WatchDuckMemory();
  duckdb::DBConfig config;
  config.allocator = MakeWatchedAllocator();
  config.SetOptionByName(
      "memory_limit",
      duckdb::Value(std::to_string(std::max<uint64_t>(memory_bytes >> 20, 16)) + "MiB"));
  config.SetOptionByName("temp_directory", duckdb::Value(""));
  config.SetOptionByName("threads", duckdb::Value::UBIGINT(1));
  config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
  config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
  database_ = std::make_unique<duckdb::DuckDB>(nullptr, &config);
  InstallSources(*database_);
  InstallSubqueryJoins(*database_, false);  // its marks: where plans are made (plan.cc)
  InstallRowSubqueries(*database_);
  InstallAsofJoins(*database_);
  InstallIntervalForms(*database_);
  InstallDecimalCasts(*database_);
  RegisterExactSums(*database_);
  InstallEventTimeFunctions(*database_);
  InstallCalendarFunctions(*database_->instance);
  duckdb::Connection connection(*database_);
  auto set = connection.Query(std::string("SET GLOBAL disabled_optimizers = '") +
                              kDisabledOptimizers + "'");
  CHECK(!set->HasError());
  auto shut = connection.Query("SET GLOBAL enable_external_access = false");
  CHECK(!shut->HasError());
}

Kernel::~Kernel() = default;

Session::Session(Kernel& kernel, const std::string& time_zone)
    : kernel_(kernel),
      time_zone_(time_zone),
      connection_(std::make_unique<duckdb::Connection>(kernel.database())) {
  auto zone = duckdb::Value(time_zone).ToSQLString();
  auto result = connection_->Query("SET TimeZone = " + zone);
  if (result->HasError()) {
    throw Error(ErrorCode::kInvalidSql, "unknown time zone \"" + time_zone + "\"",
                "Use a name of the IANA database, such as 'America/New_York' or 'UTC'.");
  }
  // One transaction for the session's life: planning and evaluation only need that there is one,
  // and its start is what now() says.
  connection_->BeginTransaction();
}

Session::~Session() = default;

duckdb::ClientContext& Session::context() { return *connection_->context; }

std::unique_ptr<Session> Session::Another() const {
  return std::make_unique<Session>(kernel_, time_zone_);
}

void Session::Reset() {
  if (connection_->HasActiveTransaction()) connection_->Rollback();
  connection_->BeginTransaction();
}

void Session::SetClock(Micros now) { SetTransactionTime(context(), now); }

}  // namespace weir
