// Random rows for the tables of TPC-H, as changes: a row with its key, or a row that goes.  Values
// are drawn from what the queries look for and little else, so that every join and filter meets.
#pragma once

#include <string>
#include <vector>

#include "io/random.h"

namespace weir {

class TpchRows {
 public:
  explicit TpchRows(Random& random) : random_(random) {}

  // NDJSON for a table.
  std::string Changes(const std::string& table, uint64_t rows) {
    std::string body;
    for (uint64_t i = 0; i < rows; i++) {
      row_ = "{\"_deleted\": " + std::string(random_.OneIn(8) ? "true" : "false");
      if (table == "region") Region();
      if (table == "nation") Nation();
      if (table == "supplier") Supplier();
      if (table == "customer") Customer();
      if (table == "part") Part();
      if (table == "partsupp") PartSupp();
      if (table == "orders") Order();
      if (table == "lineitem") LineItem();
      body += row_ + "}\n";
    }
    return body;
  }

 private:
  static constexpr uint64_t kSuppliers = 12, kCustomers = 25, kParts = 20, kOrders = 120;

  void Number(const char* name, uint64_t value) {
    row_ += std::string(", \"") + name + "\": " + std::to_string(value);
  }
  // From `from` cents on, `count` different ones.
  void Money(const char* name, int64_t from, uint64_t count) {
    int64_t cents = from + static_cast<int64_t>(random_.Below(count));
    std::string digits = std::to_string(std::abs(cents) + 1000).substr(1);
    if (std::abs(cents) >= 1000) digits = std::to_string(std::abs(cents));
    digits.insert(digits.size() - 2, ".");
    if (digits[0] == '.') digits = "0" + digits;
    row_ += std::string(", \"") + name + "\": " + (cents < 0 ? "-" : "") + digits;
  }
  void Text(const char* name, const std::vector<const char*>& choices) {
    row_ += std::string(", \"") + name + "\": \"" + choices[random_.Below(choices.size())] + "\"";
  }
  void Named(const char* name, const char* prefix, uint64_t key) {
    row_ += std::string(", \"") + name + "\": \"" + prefix + "#" + std::to_string(key) + "\"";
  }
  // A day of one of the years, in one of the months, the queries ask for.
  void Day(const char* name) {
    static const std::vector<const char*> months = {"1993-07", "1993-10", "1994-01", "1994-06",
                                                    "1995-03", "1995-09", "1996-01", "1996-12"};
    std::string day = std::to_string(101 + random_.Below(28)).substr(1);
    row_ += std::string(", \"") + name + "\": \"" + months[random_.Below(months.size())] + "-" +
            day + "\"";
  }

  void Region() {
    static const std::vector<const char*> names = {"AFRICA", "AMERICA", "ASIA", "EUROPE"};
    auto key = random_.Below(names.size());
    Number("r_regionkey", key);
    Text("r_name", {names[key]});
  }
  void Nation() {
    static const std::vector<const char*> names = {"FRANCE", "GERMANY",      "BRAZIL",
                                                   "CANADA", "SAUDI ARABIA", "CHINA"};
    auto key = random_.Below(names.size());
    Number("n_nationkey", key);
    Text("n_name", {names[key]});
    Number("n_regionkey", random_.Below(4));
  }
  void Supplier() {
    auto key = random_.Below(kSuppliers);
    Number("s_suppkey", key);
    Named("s_name", "Supplier", key);
    Text("s_address", {"here", "there"});
    Number("s_nationkey", random_.Below(6));
    Text("s_phone", {"13-1", "31-2"});
    Money("s_acctbal", -500, 100'000);
    Text("s_comment", {"nothing", "Customer many Complaints", "fine"});
  }
  void Customer() {
    auto key = random_.Below(kCustomers);
    Number("c_custkey", key);
    Named("c_name", "Customer", key);
    Text("c_address", {"here", "there"});
    Number("c_nationkey", random_.Below(6));
    Text("c_phone", {"13-1", "31-2", "23-3", "44-4", "17-5"});
    Money("c_acctbal", -99'900, 1'000'000);
    Text("c_mktsegment", {"BUILDING", "MACHINERY"});
    Text("c_comment", {"good", "bad"});
  }
  void Part() {
    Number("p_partkey", random_.Below(kParts));
    Text("p_name", {"forest green", "green snow", "red", "forest pink"});
    Text("p_mfgr", {"Manufacturer#1"});
    Text("p_brand", {"Brand#12", "Brand#23", "Brand#34", "Brand#45"});
    Text("p_type", {"ECONOMY ANODIZED STEEL", "LARGE BRASS", "PROMO BRASS", "MEDIUM POLISHED TIN"});
    Text("p_size", {"15", "3", "49", "9", "14"});
    Text("p_container", {"SM CASE", "MED BOX", "LG PKG", "MED BAG"});
    Money("p_retailprice", 1000, 100'000);
  }
  void PartSupp() {
    Number("ps_partkey", random_.Below(kParts));
    Number("ps_suppkey", random_.Below(kSuppliers));
    Number("ps_availqty", random_.Below(100));
    Money("ps_supplycost", 100, 50);
  }
  void Order() {
    Number("o_orderkey", random_.Below(kOrders));
    Number("o_custkey", random_.Below(kCustomers) / 3 * 3);  // most customers order nothing
    Text("o_orderstatus", {"F", "O"});
    Money("o_totalprice", 1000, 5000);
    Day("o_orderdate");
    Text("o_orderpriority", {"1-URGENT", "2-HIGH", "5-LOW"});
    Text("o_clerk", {"Clerk#1"});
    Number("o_shippriority", 0);
    Text("o_comment", {"plain", "special polite requests"});
  }
  void LineItem() {
    Number("l_orderkey", random_.Below(kOrders));
    Number("l_linenumber", random_.Below(6));
    Number("l_partkey", random_.Below(kParts));
    Number("l_suppkey", random_.Below(kSuppliers));
    Number("l_quantity", random_.OneIn(3) ? 90 + random_.Below(60) : 1 + random_.Below(30));
    Money("l_extendedprice", 100, 100'000);
    Money("l_discount", 3, 6);
    Money("l_tax", 0, 9);
    Text("l_returnflag", {"R", "N", "A"});
    Text("l_linestatus", {"F", "O"});
    Day("l_shipdate");
    Day("l_commitdate");
    Day("l_receiptdate");
    Text("l_shipinstruct", {"DELIVER IN PERSON", "NONE"});
    Text("l_shipmode", {"MAIL", "SHIP", "AIR", "AIR REG"});
  }

  Random& random_;
  std::string row_;
};

}  // namespace weir
