#include "query_generator.h"

namespace weir {
namespace {

std::string Qualified(const std::string& alias, const std::string& column) {
  return alias + "." + column;
}

// Marks around the two texts of Either.
constexpr char kBegin = '\x01', kOr = '\x02', kEnd = '\x03';

std::string Choose(const std::string& text, bool expected) {
  std::string chosen;
  int part = 0;  // 0 outside, 1 the query's, 2 the expected one's
  for (char c : text) {
    if (c == kBegin) {
      part = 1;
    } else if (c == kOr) {
      part = 2;
    } else if (c == kEnd) {
      part = 0;
    } else if (part == 0 || (part == 2) == expected) {
      chosen += c;
    }
  }
  return chosen;
}

}  // namespace

QueryGenerator::Generated QueryGenerator::Query() {
  next_name_ = next_alias_ = 0;
  std::string sql = random_.OneIn(10) ? Failing(3).sql : Any(3).sql;
  return {Choose(sql, false), Choose(sql, true)};
}

std::string QueryGenerator::Either(const std::string& query, const std::string& expected) {
  return kBegin + query + kOr + expected + kEnd;
}

const QueryGenerator::Column* QueryGenerator::Find(const std::vector<Column>& columns, Type type) {
  std::vector<const Column*> found;
  for (auto& column : columns) {
    if (column.type == type) found.push_back(&column);
  }
  return found.empty() ? nullptr : found[random_.Below(found.size())];
}

QueryGenerator::Relation QueryGenerator::Any(int depth) {
  if (depth <= 0) return Base();
  switch (random_.Below(18)) {
    case 16: return Chain(depth);
    case 17: return Star(depth);
    case 0:
    case 1: return Select(depth);
    case 12: return Recursion(depth);
    case 13: return Lateral(depth);
    case 14: return Pivot(depth);
    case 15: return Window(depth);
    case 2:
    case 3:
    case 4: return Join(depth);
    case 5:
    case 6:
    case 7: return Group(depth);
    case 8: return Set(depth);
    case 9: return Window(depth);
    case 10: return Top(depth);
    default: return Numbered(depth);
  }
}

QueryGenerator::Relation QueryGenerator::Base() {
  static const std::vector<Column> kColumns = {
      {"id", Type::kInteger}, {"g", Type::kText},    {"h", Type::kInteger},
      {"i", Type::kInteger},  {"f", Type::kBoolean}, {"c", Type::kDecimal},
      {"d", Type::kDouble},   {"tags", Type::kList}, {"z", Type::kTime}};
  // Forms of one value, and values between them.
  static const std::string kLength =
      "CASE h WHEN 0 THEN INTERVAL 1 MONTH WHEN 1 THEN to_days(30) WHEN 2 THEN to_hours(720 + i) "
      "ELSE to_days(29 + i % 3) END";
  static const std::vector<Column> kMore = {
      {kLength, Type::kInterval},
      {"[" + kLength + ", to_days(h)]", Type::kLengths},
      {"CASE h WHEN 0 THEN 1e308 WHEN 1 THEN -1e308 WHEN 2 THEN 1e30 ELSE d END", Type::kHuge}};
  Relation relation;
  std::string list;
  for (auto& column : kColumns) {
    if (random_.OneIn(4) && !(relation.columns.empty() && column.name == "z")) continue;
    auto name = NewName();
    list += (list.empty() ? "" : ", ") + column.name + " AS " + name;
    relation.columns.push_back({name, column.type});
  }
  for (auto& column : kMore) {
    if (!random_.OneIn(5)) continue;
    auto name = NewName();
    list += ", " + column.name + " AS " + name;
    relation.columns.push_back({name, column.type});
  }
  relation.sql = "SELECT " + list + " FROM " + Pick("s", "r");
  switch (random_.Below(5)) {
    case 0: relation.sql += " WHERE id % 3 = " + std::to_string(random_.Below(3)); break;
    case 1: relation.sql += " WHERE " + Comparison(kColumns); break;
    case 2: relation.sql += " WHERE z > now() - INTERVAL " + Pick("1 HOUR", "20 MINUTE"); break;
    case 3: relation.sql += " WHERE id % 7 = 0"; break;
    default: break;
  }
  return relation;
}

QueryGenerator::Type QueryGenerator::KeyType() {
  if (random_.OneIn(8)) return random_.OneIn(2) ? Type::kInterval : Type::kLengths;
  return static_cast<Type>(random_.Below(3));
}

std::string QueryGenerator::Integer(const std::vector<Column>& columns) {
  auto* column = Find(columns, Type::kInteger);
  if (!column) return std::to_string(random_.Below(5));
  switch (random_.Below(6)) {
    case 0: return "(" + column->name + " % 5)";
    case 1: {
      auto* other = Find(columns, Type::kInteger);
      return "((" + column->name + " - " + other->name + ") % 1000)";
    }
    case 2: return "coalesce(" + column->name + ", " + std::to_string(random_.Below(4)) + ")";
    case 3: {
      return "CASE WHEN " + Comparison(columns) + " THEN " + column->name + " ELSE " +
             std::to_string(random_.Below(3)) + " END";
    }
    default: return column->name;
  }
}

std::string QueryGenerator::Comparison(const std::vector<Column>& columns) {
  auto& column = columns[random_.Below(columns.size())];
  if (random_.OneIn(8)) return column.name + (random_.OneIn(2) ? " IS NULL" : " IS NOT NULL");
  switch (column.type) {
    case Type::kInteger: {
      auto* other = Find(columns, Type::kInteger);
      std::string right = random_.OneIn(3)
                              ? other->name
                              : std::to_string(static_cast<int64_t>(random_.Below(12)) - 4);
      return column.name + Pick(" < ", " = ", " > ", " <> ", " <= ", " IS DISTINCT FROM ") + right;
    }
    case Type::kText:
      return random_.OneIn(3) ? column.name + " LIKE '%a%'"
                              : column.name + Pick(" = ", " < ", " >= ") + Pick("'a'", "'b'", "''");
    case Type::kBoolean: return random_.OneIn(2) ? column.name : "NOT " + column.name;
    case Type::kDecimal:
    case Type::kDouble:
      return column.name + Pick(" < ", " >= ", " <> ") + Pick("0", "12.5", "500.1", "-3");
    case Type::kList:
      return random_.OneIn(2) ? "len(" + column.name + ") > 1"
                              : "list_contains(" + column.name + ", 'x')";
    case Type::kInterval:
      return column.name + Pick(" < ", " = ", " >= ", " <> ") +
             Pick("INTERVAL 30 DAYS", "INTERVAL 1 MONTH", "to_hours(721)");
    case Type::kLengths:
      return column.name + Pick(" < ", " = ", " > ") +
             Pick("[INTERVAL 30 DAYS, INTERVAL 1 DAY]", "[INTERVAL 1 MONTH]");
    default: return column.name + " IS NOT NULL";
  }
}

std::string QueryGenerator::Subquery(const std::vector<Column>& columns, int depth) {
  auto inner = Any(depth - 2);
  auto alias = NewAlias();
  auto* outer_column = Find(columns, Type::kInteger);
  auto* inner_column = Find(inner.columns, Type::kInteger);
  std::string from = " FROM (" + inner.sql + ") " + alias;
  std::string correlated;
  if (outer_column && inner_column) {
    correlated = " WHERE " + Qualified(alias, inner_column->name) + Pick(" = ", " = ", " < ") +
                 outer_column->name;
    if (random_.OneIn(2)) {
      // A second comparison, of one type whichever it is.
      auto type = KeyType();
      auto *outer = Find(columns, type), *other = Find(inner.columns, type);
      if (outer && other) {
        correlated += " AND " + Qualified(alias, other->name) +
                      Pick(" <> ", " < ", " >= ", " IS DISTINCT FROM ") + outer->name;
      }
    }
    if (random_.OneIn(4)) correlated += " AND " + Comparison(inner.columns);
  }
  if (random_.OneIn(3)) correlated = "";
  switch (random_.Below(5)) {
    case 4: {
      auto *outer_text = Find(columns, Type::kText), *inner_text = Find(inner.columns, Type::kText);
      if (outer_column && inner_column && outer_text && inner_text) {
        return "(" + outer_column->name + ", " + outer_text->name + ")" + Pick(" IN ", " NOT IN ") +
               "(SELECT " + Qualified(alias, inner_column->name) + ", " +
               Qualified(alias, inner_text->name) + from + ")";
      }
      [[fallthrough]];
    }
    case 0: return Pick("EXISTS", "NOT EXISTS") + " (SELECT 1" + from + correlated + ")";
    case 1:
      if (outer_column && inner_column) {
        return outer_column->name + Pick(" IN ", " NOT IN ") + "(SELECT " +
               Qualified(alias, inner_column->name) + from + (random_.OneIn(2) ? "" : correlated) +
               ")";
      }
      [[fallthrough]];
    case 2:
      if (inner_column) {
        return Integer(columns) + Pick(" < ", " >= ", " > ", " <= ") + "(SELECT " +
               Pick("max", "min", "count", "avg") + "(" + Qualified(alias, inner_column->name) +
               ")" + from + correlated + ")";
      }
      [[fallthrough]];
    default: return Integer(columns) + " <> (SELECT count(*) % 5" + from + correlated + ")";
  }
}

std::string QueryGenerator::Predicate(const std::vector<Column>& columns, int depth) {
  auto one = [&]() -> std::string {
    if (depth >= 2 && random_.OneIn(4)) return Subquery(columns, depth);
    auto* time = Find(columns, Type::kTime);
    if (time && random_.OneIn(8)) {
      return time->name + Pick(" > ", " <= ") + "now() - INTERVAL " + Pick("1 HOUR", "10 MINUTE");
    }
    return Comparison(columns);
  };
  std::string text = one();
  while (random_.OneIn(3)) {
    if (random_.OneIn(3) && text.find("now()") == std::string::npos) {
      text = "(" + text + " OR " + Comparison(columns) + ")";
    } else {
      text += " AND " + one();
    }
  }
  return text;
}

QueryGenerator::Column QueryGenerator::Output(const std::vector<Column>& columns, std::string& list,
                                              Type type) {
  auto* column = Find(columns, type);
  auto name = NewName();
  std::string value;
  if (type == Type::kInteger) {
    value = Integer(columns);
  } else if (column) {
    value = column->name;
    if (type == Type::kText && random_.OneIn(4)) value += " || 'x'";
    if (type == Type::kTime && random_.OneIn(3)) value = "date_trunc('hour', " + value + ")";
    if (type == Type::kDecimal && random_.OneIn(3))
      value = "CAST(" + value + " % 7 AS DECIMAL(10, 2))";
    if (type == Type::kDouble && random_.OneIn(3)) value = "floor(" + value + ")";
    if (type == Type::kList && random_.OneIn(3)) value = "list_sort(" + value + ")";
    if (type == Type::kInterval && random_.OneIn(4)) {
      value = Pick("greatest(", "least(") + value + ", INTERVAL 1 MONTH)";
    }
  } else if (type == Type::kText) {
    value = "'k'";
  } else if (type == Type::kBoolean) {
    value = "(" + Comparison(columns) + ")";
  } else if (type == Type::kDecimal) {
    value = "CAST(1.5 AS DECIMAL(10, 2))";
  } else if (type == Type::kDouble) {
    value = "CAST(2.5 AS DOUBLE)";
  } else if (type == Type::kList) {
    value = "['x']";
  } else if (type == Type::kInterval) {
    value = "INTERVAL 30 DAYS";
  } else if (type == Type::kLengths) {
    value = "[INTERVAL 1 MONTH]";
  } else if (type == Type::kHuge) {
    value = "CAST(1e308 AS DOUBLE)";
  } else {
    value = "TIMESTAMPTZ '2023-11-14 22:00:00+00'";
  }
  list += (list.empty() ? "" : ", ") + value + " AS " + name;
  return {name, type};
}

QueryGenerator::Relation QueryGenerator::Select(int depth) {
  auto from = Any(depth - 1);
  Relation relation;
  std::string list;
  for (uint64_t left = 1 + random_.Below(4); left > 0; left--) {
    auto type = static_cast<Type>(random_.Below(kTypes));
    relation.columns.push_back(Output(from.columns, list, type));
  }
  relation.sql = std::string("SELECT ") + (random_.OneIn(5) ? "DISTINCT " : "") + list + " FROM (" +
                 from.sql + ") " + NewAlias();
  std::string where;
  if (!random_.OneIn(4)) where = Predicate(from.columns, depth);
  auto* integer = Find(from.columns, Type::kInteger);
  if (integer && random_.OneIn(8)) {
    // Rows a filter fails on are left out, as are those of which it is not true.
    std::string cast = "CAST(" + integer->name + " * 30 AS TINYINT) > -100";
    where += (where.empty() ? "" : " AND ") + Either(cast, "TRY_" + cast);
  }
  if (!where.empty()) relation.sql += " WHERE " + where;
  return relation;
}

QueryGenerator::Relation QueryGenerator::Join(int depth) {
  auto left = Any(depth - 1), right = Any(depth - 2);
  auto a = NewAlias(), b = NewAlias();
  Relation relation;
  std::string kind = Pick("JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN",
                          "FULL JOIN", "SEMI JOIN", "ANTI JOIN");
  bool left_only = kind == "SEMI JOIN" || kind == "ANTI JOIN";
  std::vector<Column> both;
  std::string list;
  auto add = [&](const std::string& alias, const Relation& side) {
    for (auto& column : side.columns) {
      both.push_back({Qualified(alias, column.name), column.type});
      if (relation.columns.size() >= 6 || (&side == &right && left_only)) continue;
      auto name = NewName();
      list += (list.empty() ? "" : ", ") + Qualified(alias, column.name) + " AS " + name;
      relation.columns.push_back({name, column.type});
    }
  };
  add(a, left);
  add(b, right);
  std::string on;
  uint64_t equalities = 1 + random_.Below(2);
  for (int tries = 0; tries < 6 && equalities > 0; tries++) {
    auto type = KeyType();
    auto* one = Find(left.columns, type);
    auto* other = Find(right.columns, type);
    if (!one || !other) continue;
    on += (on.empty() ? "" : " AND ") + Qualified(a, one->name) +
          (random_.OneIn(6) ? " IS NOT DISTINCT FROM " : " = ") + Qualified(b, other->name);
    equalities--;
  }
  // Without an equality, or with one of two values, sides are kept small.
  bool many = on.empty() || equalities > 0;
  if (on.empty() || random_.OneIn(3)) on += (on.empty() ? "" : " AND ") + Comparison(both);
  auto side = [&](const Relation& from) {
    if (!many) return "(" + from.sql + ") ";
    std::string all;
    for (auto& column : from.columns) all += (all.empty() ? "" : ", ") + column.name;
    return "(SELECT * FROM (" + from.sql + ") " + NewAlias() + " WHERE hash(" + all + ") % 8 = 0) ";
  };
  relation.sql = "SELECT " + list + " FROM " + side(left) + a + " " + kind + " " + side(right) + b +
                 " ON " + on;
  return relation;
}

// Several joins over one another, mostly inner ones, of inputs of which some are the same.
QueryGenerator::Relation QueryGenerator::Chain(int depth) {
  Relation relation;
  struct Input {
    Relation from;
    std::string alias;
  };
  std::vector<Input> inputs;
  std::string from;
  // Products of several joins are kept small.
  auto add = [&](Relation some) {
    std::string all;
    for (auto& column : some.columns) all += (all.empty() ? "" : ", ") + column.name;
    inputs.push_back({std::move(some), NewAlias()});
    auto& input = inputs.back();
    from += "(SELECT * FROM (" + input.from.sql + ") " + NewAlias() + " WHERE hash(" + all +
            ") % 5 = 0) " + input.alias;
  };
  add(random_.OneIn(3) ? Any(depth - 1) : Base());
  for (uint64_t left = 2 + random_.Below(3); left > 0; left--) {
    auto next = random_.OneIn(3)   ? inputs[random_.Below(inputs.size())].from
                : random_.OneIn(4) ? Any(depth - 2)
                                   : Base();
    std::string on;
    std::string alias = "t" + std::to_string(next_alias_);
    for (int tries = 0; tries < 8 && (on.empty() || random_.OneIn(4)); tries++) {
      auto& earlier = inputs[random_.Below(inputs.size())];
      auto type = KeyType();
      auto* one = Find(earlier.from.columns, type);
      auto* other = Find(next.columns, type);
      if (!one || !other) continue;
      on += (on.empty() ? "" : " AND ") + Qualified(earlier.alias, one->name) +
            (random_.OneIn(6) ? " IS NOT DISTINCT FROM " : " = ") + Qualified(alias, other->name);
    }
    if (on.empty()) continue;
    if (random_.OneIn(5)) {
      std::vector<Column> columns;
      for (auto& column : next.columns)
        columns.push_back({Qualified(alias, column.name), column.type});
      for (auto& column : inputs.back().from.columns) {
        columns.push_back({Qualified(inputs.back().alias, column.name), column.type});
      }
      on += " AND " + Comparison(columns);
    }
    from += random_.OneIn(8) ? " LEFT JOIN " : " JOIN ";
    add(std::move(next));
    from += " ON " + on;
  }
  std::string list;
  for (int tries = 0; tries < 5 || relation.columns.empty(); tries++) {
    auto& input = inputs[random_.Below(inputs.size())];
    auto& column = input.from.columns[random_.Below(input.from.columns.size())];
    auto name = NewName();
    list += (list.empty() ? "" : ", ") + Qualified(input.alias, column.name) + " AS " + name;
    relation.columns.push_back({name, column.type});
  }
  relation.sql = "SELECT " + list + " FROM " + from;
  return relation;
}

// Facts with two dimensions that an inequality connects, in any order.
QueryGenerator::Relation QueryGenerator::Star(int depth) {
  auto facts = random_.OneIn(2) ? Any(depth - 2) : Base();
  auto c = NewAlias();
  std::string from[3], where, list;
  from[0] = "(" + facts.sql + ") " + c;
  std::vector<Column> compared[2], all;
  for (auto& column : facts.columns) all.push_back({Qualified(c, column.name), column.type});
  for (int d : {0, 1}) {
    auto dimension = Base();
    auto alias = NewAlias();
    std::string names;
    for (auto& column : dimension.columns) names += (names.empty() ? "" : ", ") + column.name;
    from[1 + d] = "(SELECT * FROM (" + dimension.sql + ") " + NewAlias() + " WHERE hash(" + names +
                  ") % 4 = 0) " + alias;
    auto* fact = Find(facts.columns, Type::kInteger);
    auto* key = Find(dimension.columns, Type::kInteger);
    if (!fact || !key) return facts;
    where += (where.empty() ? "" : " AND ") + Qualified(c, fact->name) + " = " +
             Qualified(alias, key->name);
    for (auto& column : dimension.columns) {
      compared[d].push_back({Qualified(alias, column.name), column.type});
      all.push_back(compared[d].back());
    }
  }
  for (int tries = 0; tries < 4; tries++) {
    auto type = KeyType();
    auto *one = Find(compared[0], type), *other = Find(compared[1], type);
    if (!one || !other) continue;
    std::string left = one->name;
    if (type == Type::kInteger && random_.OneIn(2)) left += " % 7 + 1";
    where += " AND " + left + Pick(" <> ", " < ", " >= ") + other->name;
    break;
  }
  std::swap(from[random_.Below(3)], from[random_.Below(3)]);
  Relation relation;
  for (int left = 4; left > 0; left--) {
    auto& column = all[random_.Below(all.size())];
    auto name = NewName();
    list += (list.empty() ? "" : ", ") + column.name + " AS " + name;
    relation.columns.push_back({name, column.type});
  }
  relation.sql =
      "SELECT " + list + " FROM " + from[0] + ", " + from[1] + ", " + from[2] + " WHERE " + where;
  return relation;
}

QueryGenerator::Relation QueryGenerator::Group(int depth) {
  auto from = Any(depth - 1);
  Relation relation;
  std::string list, groups;
  for (uint64_t left = random_.Below(3); left > 0; left--) {
    auto column = Output(from.columns, list, static_cast<Type>(random_.Below(kTypes)));
    groups += (groups.empty() ? "" : ", ") + column.name;
    relation.columns.push_back(column);
  }
  // All columns: an order without ties that matter, or as text.
  auto all_of = [&](int in_order) {
    std::string all;
    for (auto& column : from.columns) all += (all.empty() ? "" : ", ") + column.name;
    return in_order ? all : "CAST(hash(" + all + ") AS VARCHAR), ','";
  };
  for (uint64_t left = 1 + random_.Below(3); left > 0; left--) {
    auto name = NewName();
    std::string call;
    auto of = [&](Type type, const std::string& otherwise) {
      auto* column = Find(from.columns, type);
      return column ? column->name : otherwise;
    };
    switch (random_.Below(20)) {
      case 16:
        call = "epoch(" + Pick("min(", "max(") + of(Type::kInterval, "INTERVAL 1 MONTH") + "))";
        break;
      case 17:
        call = "epoch(" + Pick("min(", "max(") + of(Type::kLengths, "[INTERVAL 1 MONTH]") + ")[1])";
        break;
      case 18: {
        auto column = of(random_.OneIn(2) ? Type::kInterval : Type::kLengths, "INTERVAL 1 DAY");
        call = random_.OneIn(2)
                   ? "count(DISTINCT " + column + ")"
                   : "hash(" + Pick("arg_min(", "arg_max(") + column + ", " + column + ")) % 1000";
        break;
      }
      case 19:
        call = "hash(CAST(" + Pick("sum(", "avg(", "fsum(") +
               of(random_.OneIn(2) ? Type::kHuge : Type::kDouble, "1e308") +
               ") AS VARCHAR)) % 1000";
        break;
      case 9: call = "len(string_agg(" + all_of(0) + "))"; break;
      case 10:
        call = "hash(list(" + Integer(from.columns) + " ORDER BY " + all_of(1) + ")) % 1000";
        break;
      case 11: call = "quantile_disc(" + Integer(from.columns) + ", 0.5)"; break;
      case 12: call = "CAST(bool_or(" + Comparison(from.columns) + ") AS INTEGER)"; break;
      case 13: call = "approx_count_distinct(" + Integer(from.columns) + ")"; break;
      case 14:
        call = "CAST(arg_max(" + Integer(from.columns) + ", (" + all_of(1) + ")) AS BIGINT)";
        break;
      case 15: call = "len(map_keys(histogram(" + Integer(from.columns) + ")))"; break;
      case 0: call = "count(*)"; break;
      case 1: call = "sum(" + Integer(from.columns) + ") % 100000"; break;
      case 2: call = "min(" + Integer(from.columns) + ")"; break;
      case 3: call = "max(" + Integer(from.columns) + ")"; break;
      case 4: call = "count(DISTINCT " + Integer(from.columns) + ")"; break;
      case 5: call = "CAST(median(" + Integer(from.columns) + ") * 2 AS BIGINT)"; break;
      case 6: call = "bit_xor(" + Integer(from.columns) + " & 255)"; break;
      case 7: call = "sum(DISTINCT " + Integer(from.columns) + ")"; break;
      default: call = "count(" + from.columns[random_.Below(from.columns.size())].name + ")";
    }
    if (random_.OneIn(5) && call.find("CAST") == std::string::npos &&
        call.find(" % 1") == std::string::npos && !call.starts_with("len(") &&
        !call.starts_with("epoch(")) {
      call += " FILTER (WHERE " + Comparison(from.columns) + ")";
    }
    list += (list.empty() ? "" : ", ") + ("CAST(" + call + " AS BIGINT)") + " AS " + name;
    relation.columns.push_back({name, Type::kInteger});
  }
  relation.sql = "SELECT " + list + " FROM (" + from.sql + ") " + NewAlias();
  if (random_.OneIn(3)) relation.sql += " WHERE " + Predicate(from.columns, depth);
  if (!groups.empty()) {
    relation.sql +=
        " GROUP BY " + (random_.OneIn(8) ? Pick("ROLLUP", "CUBE") + " (" + groups + ")" : groups);
  }
  if (random_.OneIn(4)) relation.sql += " HAVING count(*) > " + std::to_string(random_.Below(4));
  return relation;
}

QueryGenerator::Relation QueryGenerator::Set(int depth) {
  Relation parts[2] = {Any(depth - 1), Any(depth - 1)};
  Relation relation;
  std::vector<Type> types;
  for (uint64_t left = 1 + random_.Below(3); left > 0; left--) {
    types.push_back(KeyType());
  }
  for (auto& part : parts) {
    std::string list;
    std::vector<Column> columns;
    for (auto type : types) {
      // Both sides have exactly the same types.
      auto name = NewName();
      auto* column = Find(part.columns, type);
      std::string value = type == Type::kInteger ? "CAST(" + Integer(part.columns) + " AS BIGINT)"
                          : column               ? column->name
                          : type == Type::kText  ? "'k'"
                          : type == Type::kInterval ? "INTERVAL 1 MONTH"
                          : type == Type::kLengths  ? "[INTERVAL 30 DAYS]"
                                                    : "(" + Comparison(part.columns) + ")";
      list += (list.empty() ? "" : ", ") + value + " AS " + name;
      columns.push_back({name, type});
    }
    part.sql = "SELECT " + list + " FROM (" + part.sql + ") " + NewAlias();
    if (relation.columns.empty()) relation.columns = columns;
  }
  relation.sql = "(" + parts[0].sql + ") " +
                 Pick("UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL") +
                 " (" + parts[1].sql + ")";
  return relation;
}

QueryGenerator::Relation QueryGenerator::Window(int depth) {
  auto from = Any(depth - 1);
  Relation relation = from;
  if (relation.columns.size() > 5) relation.columns.resize(5);
  std::string list, all;
  for (auto& column : relation.columns) list += (list.empty() ? "" : ", ") + column.name;
  for (auto& column : from.columns) all += (all.empty() ? "" : ", ") + column.name;
  std::string over = " OVER (";
  if (!random_.OneIn(4)) over += "PARTITION BY " + Integer(from.columns) + " ";
  bool peers_alike = random_.OneIn(3);
  auto* length = Find(from.columns, random_.OneIn(2) ? Type::kInterval : Type::kLengths);
  bool by_length = peers_alike && length && random_.OneIn(3);
  over += "ORDER BY " + (by_length ? length->name : peers_alike ? Integer(from.columns) : all);
  std::string call;
  if (peers_alike) {
    call = Pick("rank()", "dense_rank()", "count(*)");
    if (!by_length && random_.OneIn(2)) {
      call = Pick("sum(", "min(", "max(", "count(") + Integer(from.columns) + ")";
      over += Pick("", " DESC", " NULLS FIRST", " DESC NULLS LAST");
      over += Pick("", " RANGE BETWEEN 1 PRECEDING AND CURRENT ROW",
                   " RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING",
                   " RANGE BETWEEN 1 FOLLOWING AND 3 FOLLOWING",
                   " RANGE BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING",
                   " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                   " GROUPS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                   " GROUPS BETWEEN 2 PRECEDING AND 1 PRECEDING");
      if (over.find("BETWEEN") != std::string::npos) {
        over += Pick("", "", " EXCLUDE GROUP", " EXCLUDE TIES");
      }
    }
  } else {
    call = Pick("row_number()", "rank()", "ntile(3)");
    switch (random_.Below(4)) {
      case 0: call = "lag(" + Integer(from.columns) + ")"; break;
      case 1: call = "lead(" + Integer(from.columns) + ", 2)"; break;
      case 2:
        call = Pick("sum(", "max(", "first_value(", "last_value(") + Integer(from.columns) + ")";
        over += Pick("", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
                     " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
                     " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                     " ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING",
                     " ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT ROW",
                     " ROWS UNBOUNDED PRECEDING", " ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING");
        break;
      default: break;
    }
  }
  auto name = NewName();
  relation.sql = "SELECT " + list + ", CAST(" + call + over + ") AS BIGINT) AS " + name +
                 " FROM (" + from.sql + ") " + NewAlias();
  relation.columns.push_back({name, Type::kInteger});
  return relation;
}

QueryGenerator::Relation QueryGenerator::Top(int depth) {
  auto from = Any(depth - 1);
  std::string all;
  for (auto& column : from.columns) {
    all += (all.empty() ? "" : ", ") + column.name + Pick("", " DESC", " NULLS FIRST");
  }
  from.sql = "SELECT * FROM (" + from.sql + ") " + NewAlias() + " ORDER BY " + all + " LIMIT " +
             std::to_string(1 + random_.Below(6));
  if (random_.OneIn(3)) from.sql += " OFFSET " + std::to_string(random_.Below(4));
  return from;
}

// The first of each group.
QueryGenerator::Relation QueryGenerator::Numbered(int depth) {
  auto from = Any(depth - 1);
  std::string all;
  for (auto& column : from.columns)
    all += (all.empty() ? "" : ", ") + column.name + Pick("", " DESC");
  std::string call = Pick("row_number()", "row_number()", "rank()", "dense_rank()");
  std::string by = call == "row_number()" ? all : Integer(from.columns);
  from.sql = "SELECT * FROM (" + from.sql + ") " + NewAlias() + " QUALIFY " + call +
             " OVER (PARTITION BY " + Integer(from.columns) + " ORDER BY " + by +
             ") <= " + std::to_string(1 + random_.Below(3));
  return from;
}

// Reachable pairs of small numbers, or counted paths of a few hops.
QueryGenerator::Relation QueryGenerator::Recursion(int depth) {
  auto base = Any(depth - 2), edges = Any(depth - 2);
  auto r = NewAlias(), e = NewAlias();
  auto a = NewName(), b = NewName(), x = NewName(), y = NewName();
  auto pairs = [&](const Relation& from, const std::string& one, const std::string& other,
                   bool distinct) {
    return std::string("SELECT ") + (distinct ? "DISTINCT " : "") + "CAST(" +
           Integer(from.columns) + " % 9 AS BIGINT) AS " + one + ", CAST(" + Integer(from.columns) +
           " % 9 AS BIGINT) AS " + other + " FROM (" + from.sql + ") " + NewAlias();
  };
  Relation relation;
  relation.columns = {{a, Type::kInteger}, {b, Type::kInteger}};
  std::string next = " FROM " + r + " JOIN (" + pairs(edges, x, y, true) + ") " + e + " ON " + r +
                     "." + b + " = " + e + "." + x;
  if (random_.OneIn(3)) {
    next += " WHERE " +
            Comparison({{Qualified(r, a), Type::kInteger}, {Qualified(e, y), Type::kInteger}});
  }
  if (random_.OneIn(3)) {
    // Paths; the hops are told by the first number.
    relation.sql = "(WITH RECURSIVE " + r + "(" + a + ", " + b + ") AS (SELECT 0::BIGINT, " + b +
                   " FROM (" + pairs(base, a, b, true) + ") " + NewAlias() + " UNION ALL SELECT " +
                   r + "." + a + " + 1, " + e + "." + y + next +
                   (next.find(" WHERE ") == std::string::npos ? " WHERE " : " AND ") + r + "." + a +
                   " < 2) SELECT " + a + ", " + b + " FROM " + r + ")";
  } else {
    relation.sql = "(WITH RECURSIVE " + r + "(" + a + ", " + b + ") AS (" +
                   pairs(base, a, b, false) + " UNION SELECT " + r + "." + a + ", " + e + "." + y +
                   next + ") SELECT " + a + ", " + b + " FROM " + r + ")";
  }
  return relation;
}

QueryGenerator::Relation QueryGenerator::Lateral(int depth) {
  auto left = Any(depth - 1), right = Any(depth - 2);
  auto* outer = Find(left.columns, Type::kInteger);
  auto* inner = Find(right.columns, Type::kInteger);
  if (!outer || !inner) return left;
  auto a = NewAlias(), b = NewAlias(), c = NewAlias();
  auto m = NewName(), n = NewName();
  if (left.columns.size() > 4) left.columns.resize(4);
  Relation relation;
  std::string list;
  for (auto& column : left.columns) {
    auto name = NewName();
    list += Qualified(a, column.name) + " AS " + name + ", ";
    relation.columns.push_back({name, column.type});
  }
  relation.columns.push_back({m, Type::kInteger});
  relation.columns.push_back({n, Type::kInteger});
  relation.sql = "SELECT " + list + c + "." + m + " AS " + m + ", " + c + "." + n + " AS " + n +
                 " FROM (" + left.sql + ") " + a + Pick(", LATERAL ", " LEFT JOIN LATERAL ");
  bool is_left = relation.sql.ends_with("LEFT JOIN LATERAL ");
  relation.sql += "(SELECT count(*) AS " + m + ", CAST(max(" + Qualified(b, inner->name) +
                  ") AS BIGINT) AS " + n + " FROM (" + right.sql + ") " + b + " WHERE " +
                  Qualified(b, inner->name) + Pick(" = ", " = ", " <= ") +
                  Qualified(a, outer->name) + ") " + c + (is_left ? " ON true" : "");
  return relation;
}

QueryGenerator::Relation QueryGenerator::Pivot(int depth) {
  auto from = Any(depth - 1);
  auto k = NewName(), v = NewName(), x = NewName();
  std::string rows = "SELECT CAST(" + Integer(from.columns) + " AS BIGINT) AS " + k + ", CAST(" +
                     Integer(from.columns) + " % 3 AS BIGINT) AS " + v + ", CAST(" +
                     Integer(from.columns) + " AS BIGINT) AS " + x + " FROM (" + from.sql + ") " +
                     NewAlias();
  Relation relation;
  std::string list, names;
  for (int i = 0; i < 4; i++) {
    auto name = NewName(), as = NewName();
    names += (names.empty() ? "" : ", ") + name;
    list += (list.empty() ? "" : ", ") + ("CAST(" + name + " % 100000 AS BIGINT) AS " + as);
    relation.columns.push_back({as, Type::kInteger});
  }
  relation.sql = "SELECT " + list + " FROM (PIVOT (" + rows + ") ON " + v + " IN (0, 1, 2) USING " +
                 Pick("sum(", "count(", "max(") + x + ") GROUP BY " + k + ") " + NewAlias() + "(" +
                 names + ")";
  return relation;
}

QueryGenerator::Relation QueryGenerator::Failing(int depth) {
  auto from = Any(depth - 1);
  auto* integer = Find(from.columns, Type::kInteger);
  if (!integer) return from;
  std::string cast = "CAST(" + integer->name + " * 30 AS TINYINT)";
  std::string good = " WHERE TRY_" + cast + " IS NOT NULL OR " + integer->name + " IS NULL";
  auto alias = NewAlias();
  Relation relation;
  auto name = NewName();
  relation.columns.push_back({name, Type::kInteger});
  std::string rows = " FROM (" + from.sql + ") " + alias + Either("", good);
  switch (random_.Below(4)) {
    case 0: {  // an argument
      auto group = random_.OneIn(2) ? integer->name + " % 3" : "true";
      relation.sql = "SELECT " + group + ", CAST(" + Pick("sum(", "max(", "count(DISTINCT ") +
                     cast + ") AS BIGINT) AS " + name + rows + " GROUP BY " + group;
      break;
    }
    case 1:  // a group
      relation.sql = "SELECT " + cast + " AS " + name + ", count(*)" + rows + " GROUP BY " + cast;
      break;
    case 2: {  // a window's argument
      std::string all;
      for (auto& column : from.columns) all += (all.empty() ? "" : ", ") + column.name;
      relation.sql = "SELECT " + all + ", CAST(sum(" + cast + ") OVER (ORDER BY " + all +
                     " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS BIGINT) AS " + name + rows;
      break;
    }
    default: {
      std::string all;
      for (auto& column : from.columns) all += column.name + ", ";
      relation.sql = "SELECT " + all + cast + " AS " + name + rows;
    }
  }
  return relation;
}

}  // namespace weir
