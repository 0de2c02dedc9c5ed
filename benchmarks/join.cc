// Joins with large state: the latency of one change through six tables, the bytes a kept row takes,
// and both beside DuckDB computing the same again.
//
//   bench_join [STATE_ROWS]      default 10,000,000
#include <algorithm>
#include <cstdlib>
#include <random>

#include "batch_query.h"
#include "kept_query.h"
#include "report.h"
#include "row_writer.h"

namespace weir {
namespace {

constexpr Micros kNow = 1'700'000'000'000'000;
constexpr size_t kStepRows = 64 * 1024;

constexpr const char* kTables = R"(
CREATE STREAM sales (id BIGINT, order_id BIGINT, part_id BIGINT, supplier_id BIGINT, quantity BIGINT, price BIGINT);
CREATE STREAM orders (id BIGINT, customer_id BIGINT, day DATE, priority VARCHAR);
CREATE STREAM customers (id BIGINT, name VARCHAR, segment VARCHAR);
CREATE STREAM parts (id BIGINT, name VARCHAR, brand VARCHAR);
CREATE STREAM suppliers (id BIGINT, name VARCHAR, nation_id BIGINT);
CREATE STREAM nations (id BIGINT, name VARCHAR);
)";

constexpr const char* kSixWays =
    "SELECT n.name AS nation, c.segment, p.brand, count(*) AS sales, sum(s.quantity * s.price) AS "
    "revenue "
    "FROM sales s JOIN orders o ON s.order_id = o.id JOIN customers c ON o.customer_id = c.id "
    "JOIN parts p ON s.part_id = p.id JOIN suppliers u ON s.supplier_id = u.id "
    "JOIN nations n ON u.nation_id = n.id WHERE o.priority <> 'none' GROUP BY ALL";

// Two sides of which every column is kept.
constexpr const char* kTwoWays =
    "SELECT s.id, s.quantity, s.price, s.part_id, s.supplier_id, o.* FROM sales s JOIN orders o ON "
    "s.order_id = o.id";

struct Sizes {
  int64_t sales, orders, customers, parts, suppliers, nations = 25;
  explicit Sizes(int64_t state_rows)
      : sales(state_rows * 7 / 10),
        orders(state_rows * 2 / 10),
        customers(state_rows * 5 / 100),
        parts(state_rows * 4 / 100),
        suppliers(state_rows / 100) {}
  int64_t all() const { return sales + orders + customers + parts + suppliers + nations; }
};

std::string Name(const char* prefix, int64_t number) {
  auto digits = std::to_string(number);
  return prefix + std::string(9 - std::min<size_t>(9, digits.size()), '0') + digits;
}

// Rows by number: the same number gives the same row, so that it can go again.
class Rows {
 public:
  Rows(const CatalogState& catalog, Sizes sizes) : catalog_(catalog), sizes_(sizes) {}

  Columns Make(const std::string& table, int64_t from, int64_t to, int64_t version = 0) {
    RowWriter writer(catalog_.GetStream(table)->Types());
    for (int64_t i = from; i < to; i++) {
      std::minstd_rand random(static_cast<unsigned>(i * 7919 + 17));
      random.discard(2);
      auto any = [&](int64_t below) { return static_cast<int64_t>(random()) % below; };
      if (table == "sales") {
        writer.Add(i, any(sizes_.orders), any(sizes_.parts), any(sizes_.suppliers),
                   1 + any(50) + version, 100 + any(100000));
      } else if (table == "orders") {
        constexpr const char* kPriorities[] = {"1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED"};
        writer.Add(i, any(sizes_.customers), static_cast<int32_t>(9000 + any(2500)),
                   std::string(kPriorities[(any(4) + version) % 4]));
      } else if (table == "customers") {
        constexpr const char* kSegments[] = {"BUILDING", "MACHINERY", "HOUSEHOLD"};
        writer.Add(i, Name("Customer#", i), std::string(kSegments[(any(3) + version) % 3]));
      } else if (table == "parts") {
        writer.Add(i, Name("Part#", i), "Brand#" + std::to_string((any(25) + version) % 25));
      } else if (table == "suppliers") {
        writer.Add(i, Name("Supplier#", i), (any(sizes_.nations) + version) % sizes_.nations);
      } else {
        writer.Add(i, Name("Nation#", i));
      }
    }
    return writer.Take();
  }

 private:
  const CatalogState& catalog_;
  Sizes sizes_;
};

struct TableRows {
  const char* name;
  int64_t rows;
};
std::vector<TableRows> TablesOf(const Sizes& sizes) {
  return {{"nations", sizes.nations},     {"suppliers", sizes.suppliers}, {"parts", sizes.parts},
          {"customers", sizes.customers}, {"orders", sizes.orders},       {"sales", sizes.sales}};
}

size_t ColumnBytes(const Columns& columns) {
  size_t bytes = 0;
  for (auto& chunk : columns.chunks) {
    for (auto& column : chunk->data) {
      auto type = column.GetType().InternalType();
      if (type != duckdb::PhysicalType::VARCHAR) {
        bytes += duckdb::GetTypeIdSize(type) * chunk->size();
        continue;
      }
      // As Arrow has a text: an offset of 4 bytes and its characters.
      auto* texts = duckdb::FlatVector::GetData<duckdb::string_t>(column);
      for (duckdb::idx_t i = 0; i < chunk->size(); i++) bytes += 4 + texts[i].GetSize();
    }
  }
  return bytes;
}

// Feeds all rows of all tables the query reads; returns the bytes of their columns.
size_t Load(KeptQuery& kept, const CatalogState& catalog, Rows& rows, const Sizes& sizes,
            BatchDatabase* batch) {
  size_t bytes = 0;
  for (auto& table : TablesOf(sizes)) {
    auto stream = catalog.GetStream(table.name);
    if (!kept.Reads(stream->id)) continue;
    std::unique_ptr<duckdb::Appender> appender;
    if (batch) {
      std::string columns;
      for (auto& column : stream->columns) {
        columns += (columns.empty() ? "" : ", ") + column.name + " " + column.type.ToString();
      }
      batch->Run("CREATE TABLE " + stream->name + " (" + columns + ")");
      appender = std::make_unique<duckdb::Appender>(batch->connection(), stream->name);
    }
    for (int64_t from = 0; from < table.rows; from += kStepRows) {
      auto part = rows.Make(table.name, from, std::min<int64_t>(table.rows, from + kStepRows));
      bytes += ColumnBytes(part);
      kept.SetClock(kNow);
      for (auto& chunk : part.chunks) {
        kept.Feed(stream->id, *chunk);
        if (appender) appender->AppendDataChunk(*chunk);
      }
      kept.Flush();
    }
  }
  return bytes;
}

double Percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(static_cast<double>(values.size()) * share))];
}

void Latency(Kernel& kernel, const CatalogState& catalog, const Sizes& sizes) {
  Rows rows(catalog, sizes);
  BatchDatabase batch;
  KeptQuery kept(kernel, catalog, "six_ways", KernelSql(kSixWays),
                 {.rows_go = true, .keep_answer = true}, kNow);
  double loading = Seconds([&] { Load(kept, catalog, rows, sizes, &batch); });
  std::mt19937_64 random(7);
  std::vector<double> all;
  struct Kind {
    const char* table;
    int64_t rows;
    std::vector<double> took;
  };
  std::vector<Kind> kinds = {
      {"sales", sizes.sales, {}}, {"orders", sizes.orders, {}}, {"customers", sizes.customers, {}}};
  constexpr int kChanges = 4000;
  int64_t fresh = sizes.sales;
  for (int i = 0; i < kChanges; i++) {
    // Half of the changes are new sales; of the others, most replace a row by a changed one.
    bool is_new = i % 2 == 0;
    auto& kind = is_new ? kinds[0] : kinds[static_cast<size_t>(i / 2) % kinds.size()];
    auto stream = catalog.GetStream(kind.table);
    int64_t number =
        is_new ? fresh++ : static_cast<int64_t>(random() % static_cast<uint64_t>(kind.rows));
    // Each old row is replaced once at most: its version says which it has.
    Columns before = rows.Make(kind.table, number, number + 1);
    Columns after = is_new ? rows.Make(kind.table, number, number + 1)
                           : rows.Make(kind.table, number, number + 1, 1);
    int64_t minus = -1, plus = 1;
    double took = Seconds([&] {
      kept.SetClock(kNow + i);
      if (!is_new) kept.Feed(stream->id, *before.chunks[0], &minus);
      kept.Feed(stream->id, *after.chunks[0], &plus);
      kept.Flush();
    });
    all.push_back(took * 1e3);
    kind.took.push_back(took * 1e3);
    if (!is_new) {  // and back, so that every row is there as it was made
      kept.Feed(stream->id, *after.chunks[0], &minus);
      kept.Feed(stream->id, *before.chunks[0], &plus);
      kept.Flush();
    } else {
      kept.Feed(stream->id, *after.chunks[0], &minus);
      kept.Flush();
    }
  }
  if (auto failure = kept.failure(); !failure.empty()) {
    std::fprintf(stderr, "failed: %s\n", failure.c_str());
    std::exit(1);
  }
  if (std::getenv("WEIR_EXPLAIN")) kept.Explain();
  batch.MustEqual("six_ways", KernelSql(kSixWays), kept.types(), kept.Answer());
  double again = batch.Seconds(KernelSql(kSixWays), 1) * 1e3;
  Report({"join",
          "one change through six tables, p99",
          Percentile(all, 0.99),
          "ms",
          1,
          true,
          {{"p50", Percentile(all, 0.5)},
           {"sale p99", Percentile(kinds[0].took, 0.99)},
           {"order p99", Percentile(kinds[1].took, 0.99)},
           {"customer p99", Percentile(kinds[2].took, 0.99)},
           {"DuckDB again, ms", again},
           {"million rows", static_cast<double>(sizes.all()) / 1e6},
           {"state MB", static_cast<double>(kept.StateBytes()) / 1e6},
           {"loaded, million rows/s", static_cast<double>(sizes.all()) / 1e6 / loading}}});
}

void BytesOfState(Kernel& kernel, const CatalogState& catalog, const Sizes& sizes) {
  Rows rows(catalog, sizes);
  for (bool rows_go : {false, true}) {
    KeptQuery kept(kernel, catalog, "two_ways", KernelSql(kTwoWays), {.rows_go = rows_go}, kNow);
    size_t columns = Load(kept, catalog, rows, sizes, nullptr);
    auto count = static_cast<double>(sizes.sales + sizes.orders);
    auto state = static_cast<double>(kept.StateBytes());
    Report({"join",
            rows_go ? "state of a join, rows come and go" : "state of a join, rows come",
            state / static_cast<double>(columns),
            "times its columns",
            2,
            true,
            {{"bytes a row", state / count},
             {"columns, bytes a row", static_cast<double>(columns) / count},
             {"million rows", count / 1e6}}});
  }
}

int Main(int64_t state_rows) {
  Project project;
  project.Add(kTables);
  Kernel kernel;
  Sizes sizes(state_rows);
  Latency(kernel, project.catalog, sizes);
  BytesOfState(kernel, project.catalog, Sizes(state_rows / 5));
  return 0;
}

}  // namespace
}  // namespace weir

int main(int argc, char** argv) { return weir::Main(argc > 1 ? std::atoll(argv[1]) : 10'000'000); }
