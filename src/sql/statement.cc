#include "sql/statement.h"

#include <algorithm>

#include "base/error.h"
#include "duck/errors.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/parser/parser.hpp"
#include "sql/tokens.h"
#include "sql/window_functions.h"

namespace weir {

Error SqlErrorAt(std::string_view text, size_t position, std::string_view file,
                 std::string_view message) {
  auto [line, column] = LineAndColumn(text, position);
  std::string where = std::to_string(line) + ":" + std::to_string(column) + ": ";
  if (!file.empty()) where = std::string(file) + ":" + where;
  return Error(ErrorCode::kInvalidSql, where + std::string(message), CaretBelow(text, position));
}

namespace {

using Kind = SqlToken::Kind;

// Reads one statement's tokens.
class StatementParser {
 public:
  StatementParser(std::string_view text, std::string_view file, const std::vector<SqlToken>& tokens,
                  size_t begin, size_t end)
      : text_(text), file_(file), tokens_(tokens), at_(begin), end_(end) {}

  Statement Parse() {
    size_t first = tokens_[at_].position;
    size_t last = tokens_[end_ - 1].position + tokens_[end_ - 1].length;
    Statement statement;
    statement.position = first;
    statement.text = std::string(text_.substr(first, last - first));
    statement.body = Body(statement.text);
    return statement;
  }

 private:
  // ---- tokens ---------------------------------------------------------------------------------

  const SqlToken& Token(size_t ahead = 0) const {
    static const SqlToken kEnd{Kind::kEnd, 0, 0, ""};
    return at_ + ahead < end_ ? tokens_[at_ + ahead] : kEnd;
  }
  bool Is(const char* word, size_t ahead = 0) const {
    auto& token = Token(ahead);
    return token.kind == Kind::kWord && duckdb::StringUtil::CIEquals(token.text, word);
  }
  bool IsSymbol(char symbol) const {
    return Token().kind == Kind::kSymbol && Token().text[0] == symbol;
  }
  bool Take(const char* word) {
    if (!Is(word)) return false;
    at_++;
    return true;
  }
  bool TakeSymbol(char symbol) {
    if (!IsSymbol(symbol)) return false;
    at_++;
    return true;
  }
  size_t Position() const {
    return at_ < end_ ? tokens_[at_].position
                      : tokens_[end_ - 1].position + tokens_[end_ - 1].length;
  }
  [[noreturn]] void Fail(const std::string& message) const {
    throw SqlErrorAt(text_, Position(), file_, message);
  }
  void Expect(const char* word) {
    if (!Take(word)) Fail(std::string("expected ") + word);
  }
  void ExpectSymbol(char symbol) {
    if (!TakeSymbol(symbol)) Fail(std::string("expected \"") + symbol + "\"");
  }
  void ExpectEnd() const {
    if (at_ < end_) Fail("unexpected \"" + tokens_[at_].text + "\" after the statement");
  }
  std::string Name(const char* what) {
    auto& token = Token();
    if (token.kind != Kind::kWord && token.kind != Kind::kQuotedName) {
      Fail(std::string("expected the name of a ") + what);
    }
    if (token.text.empty() || token.text.size() > 200) Fail("a name has 1 to 200 bytes");
    for (char c : token.text) {
      if (static_cast<unsigned char>(c) < 0x20 || c == '/')
        Fail("a name may not hold such characters");
    }
    at_++;
    return token.text;
  }
  std::string String(const char* what) {
    if (Token().kind != Kind::kString) Fail(std::string("expected ") + what + " in single quotes");
    return tokens_[at_++].text;
  }
  bool TakeIfExists() {
    if (!Is("IF") || !Is("EXISTS", 1)) return false;
    at_ += 2;
    return true;
  }
  bool TakeIfNotExists() {
    if (!Is("IF") || !Is("NOT", 1) || !Is("EXISTS", 2)) return false;
    at_ += 3;
    return true;
  }
  std::string Rest() const {
    if (at_ >= end_) return "";
    size_t first = tokens_[at_].position;
    size_t last = tokens_[end_ - 1].position + tokens_[end_ - 1].length;
    return std::string(text_.substr(first, last - first));
  }

  // ---- statements -----------------------------------------------------------------------------

  StatementBody Body(const std::string& text) {
    if (Is("CREATE")) return Create();
    if (Take("ALTER")) return ReadAlter();
    if (Take("SUBSCRIBE")) return ReadSubscribe();
    if (Take("DROP")) return ReadDrop();
    if (Take("COMMENT")) return ReadComment();
    if (Is("EXPLAIN")) return ReadExplain(text);
    if (Take("SHOW")) return ReadShow();
    if (Is("DESCRIBE") || Is("DESC")) return ReadDescribe(text);
    if (Is("SET")) return ReadSet();
    if (Is("INSERT") || Is("UPDATE") || Is("DELETE") || Is("TRUNCATE")) return Write();
    if (Take("COPY")) return ReadCopy();
    if (Is("MERGE")) {
      Fail(
          "MERGE is not a statement of Weir: tables change by INSERT ... ON CONFLICT, UPDATE and "
          "DELETE");
    }
    return Query{text};
  }

  StatementBody Create() {
    Take("CREATE");
    bool or_replace = false;
    if (Is("OR") && Is("REPLACE", 1)) {
      at_ += 2;
      or_replace = true;
    }
    if (Take("STREAM")) {
      if (or_replace) Fail("a stream keeps its events and cannot be replaced");
      return ReadStream();
    }
    if (Take("PUMP")) {
      if (or_replace)
        Fail(
            "what a pump has emitted stays, so it cannot be replaced: DROP it, and CREATE another "
            "WITH (start = 'now')");
      return ReadPump();
    }
    bool materialized = Take("MATERIALIZED");
    if (Take("VIEW")) return ReadView(materialized, or_replace);
    if (materialized) Fail("expected VIEW");
    if (Take("TABLE")) {
      if (or_replace) Fail("a table keeps its rows and cannot be replaced");
      return ReadTable();
    }
    Fail("expected STREAM, TABLE, PUMP, VIEW or MATERIALIZED VIEW");
  }

  StatementBody ReadView(bool materialized, bool or_replace) {
    CreateView create;
    create.or_replace = or_replace;
    create.if_not_exists = TakeIfNotExists();
    create.view.name = Name("view");
    create.view.materialized = materialized;
    if (Take("WITH")) ReadViewOptions(create.view);
    Expect("AS");
    if (at_ >= end_) Fail("expected a query after AS");
    size_t position = Position();
    size_t whole = end_;
    ReadEmit(create.view);
    create.view.query = Rest();
    end_ = whole;
    create.view.sql = WholeText();
    CheckQuery(create.view.query, position);
    return create;
  }

  // WITH (allowed_lateness = '1 minute')
  void ReadViewOptions(View& view) {
    ExpectSymbol('(');
    do {
      size_t position = Position();
      std::string option = duckdb::StringUtil::Lower(Name("option"));
      ExpectSymbol('=');
      size_t value_position = Position();
      std::string value = String("a value");
      if (option != "allowed_lateness") {
        throw SqlErrorAt(text_, position, file_,
                         "a view has no option \"" + option + "\", only allowed_lateness");
      }
      if (!view.materialized) {
        throw SqlErrorAt(text_, position, file_, "allowed_lateness needs a MATERIALIZED VIEW");
      }
      view.allowed_lateness = IntervalMicros(value, value_position);
      if (*view.allowed_lateness < 0) {
        throw SqlErrorAt(text_, value_position, file_, "allowed_lateness is not negative");
      }
    } while (TakeSymbol(','));
    ExpectSymbol(')');
  }

  // EMIT CHANGES or EMIT ON WINDOW CLOSE at the end of a view's query, which ends before it.
  void ReadEmit(View& view) {
    auto ends_with = [&](std::initializer_list<const char*> words) {
      if (at_ + words.size() > end_) return false;
      size_t ahead = end_ - words.size() - at_;
      for (auto* word : words) {
        if (!Is(word, ahead++)) return false;
      }
      end_ -= words.size();
      return true;
    };
    if (ends_with({"EMIT", "ON", "WINDOW", "CLOSE"})) {
      view.on_window_close = true;
      if (!view.materialized) Fail("EMIT ON WINDOW CLOSE needs a MATERIALIZED VIEW");
    } else {
      ends_with({"EMIT", "CHANGES"});
    }
    if (at_ >= end_) Fail("expected a query before EMIT");
  }

  // Only the grammar; what the names mean is looked at when the view is made.
  void CheckQuery(const std::string& query, size_t position, const char* what = "a view") const {
    try {
      duckdb::Parser parser;
      parser.ParseQuery(ExpandWindowFunctions(query, {text_, file_, position}));
      bool select = parser.statements.size() == 1 &&
                    parser.statements[0]->type == duckdb::StatementType::SELECT_STATEMENT;
      if (select) return;
    } catch (const Error&) {
      throw;
    } catch (const std::exception& exception) {
      duckdb::ErrorData data(exception);
      auto found = data.ExtraInfo().find("position");
      if (found != data.ExtraInfo().end()) position += std::stoul(found->second);
      auto& message = data.RawMessage();
      throw SqlErrorAt(text_, position, file_, message.substr(0, message.find('\n')));
    }
    throw SqlErrorAt(text_, position, file_,
                     std::string(what) + " is made of one SELECT, VALUES or FROM query");
  }

  StatementBody ReadStream() {
    CreateStream create;
    create.if_not_exists = TakeIfNotExists();
    Stream& stream = create.stream;
    stream.name = Name("stream");
    bool columns = TakeSymbol('(');
    if (columns) {
      do {
        if (Is("WATERMARK") && Is("FOR", 1)) {
          ReadWatermark(stream);
        } else {
          ReadColumn(stream);
        }
      } while (TakeSymbol(','));
      ExpectSymbol(')');
      if (stream.columns.empty()) Fail("a stream has at least one column");
    } else if (!Is("AS") && !Is("WITH")) {
      ExpectSymbol('(');
    }
    if (Take("WITH")) ReadStreamOptions(create);
    if (Take("AS")) {
      create.query = ReadQuery("a derived stream");
    } else if (!columns) {
      Fail("expected columns in parentheses, or AS and a query");
    } else if (create.from_now) {
      Fail("start is an option of a stream made of a query (AS SELECT ...)");
    }
    ExpectEnd();
    stream.sql = WholeText();
    return create;
  }

  StatementBody ReadTable() {
    CreateStream create;
    create.if_not_exists = TakeIfNotExists();
    Stream& table = create.stream;
    table.name = Name("table");
    if (Is("AS")) {
      Fail(
          "a table has a primary key: CREATE TABLE name (columns, PRIMARY KEY (...)), then INSERT "
          "INTO name SELECT ...");
    }
    ExpectSymbol('(');
    do {
      if (Is("PRIMARY") && Is("KEY", 1)) {
        ReadPrimaryKey(table);
      } else {
        ReadColumn(table, true);
      }
    } while (TakeSymbol(','));
    ExpectSymbol(')');
    if (!table.IsTable()) {
      Fail(
          "a table has a PRIMARY KEY: it says which row a change is about (without one, use a "
          "stream)");
    }
    for (size_t key : table.primary_key) {
      auto& column = table.columns[key];
      column.not_null = true;
      auto id = column.type.id();
      // Values that are equal and look different (0.0 and -0.0, 1 month and 30 days).
      if (column.type.IsFloating() || column.type.IsNested() ||
          id == duckdb::LogicalTypeId::INTERVAL || id == duckdb::LogicalTypeId::TIME_TZ) {
        Fail("a primary key is of whole numbers, decimals, texts, dates and the like; column \"" +
             column.name + "\" is " + column.type.ToString());
      }
    }
    if (Take("WITH")) ReadTableOptions(table);
    ExpectEnd();
    table.columns.push_back({kDeletedColumn, duckdb::LogicalType::BOOLEAN});
    table.sql = WholeText();
    return create;
  }

  void ReadPrimaryKey(Stream& table) {
    if (table.IsTable()) Fail("a table has one PRIMARY KEY");
    at_ += 2;
    ExpectSymbol('(');
    do {
      size_t position = Position();
      std::string name = Name("column");
      auto column = table.Find(name);
      if (!column) {
        throw SqlErrorAt(text_, position, file_,
                         "there is no column \"" + name + "\" before the PRIMARY KEY");
      }
      if (table.IsKey(*column)) {
        throw SqlErrorAt(text_, position, file_, "column \"" + name + "\" is in the key twice");
      }
      table.primary_key.push_back(*column);
    } while (TakeSymbol(','));
    ExpectSymbol(')');
  }

  void ReadTableOptions(Stream& table) {
    ExpectSymbol('(');
    bool refreshed = false;
    ReferenceFile file;
    do {
      size_t position = Position();
      std::string option = duckdb::StringUtil::Lower(Name("option"));
      ExpectSymbol('=');
      size_t value_position = Position();
      std::string value = String("a value");
      if (option == "source") {
        file.path = value;
      } else if (option == "refresh") {
        refreshed = true;
        file.refresh = value == "on change" ? 0 : IntervalMicros(value, value_position);
        if (file.refresh < 0 || (file.refresh == 0 && value != "on change")) {
          throw SqlErrorAt(text_, value_position, file_,
                           "refresh is a length of time ('1 hour') or 'on change'");
        }
      } else if (option == "unknown_fields") {
        if (value != "ignore" && value != "reject") {
          throw SqlErrorAt(text_, value_position, file_, "unknown_fields is 'ignore' or 'reject'");
        }
        table.unknown_fields = value == "reject" ? UnknownFields::kReject : UnknownFields::kIgnore;
      } else {
        static constexpr std::string_view kOptions[] = {"source", "refresh", "unknown_fields"};
        auto nearest = NearestName(option, std::begin(kOptions), std::end(kOptions));
        throw SqlErrorAt(text_, position, file_,
                         "a table has no option \"" + option + "\"" +
                             (nearest.empty() ? "" : ", did you mean \"" + nearest + "\"?"));
      }
    } while (TakeSymbol(','));
    ExpectSymbol(')');
    if (refreshed && file.path.empty()) Fail("refresh needs a source");
    if (!file.path.empty()) table.reference = file;
  }

  StatementBody Write() const {
    auto body = ParsedWrite(begin_);
    auto* insert = std::get_if<Insert>(&body);
    if (insert) insert->query_text = QueryOf(*insert, begin_);
    return std::visit([](auto& write) { return StatementBody(std::move(write)); }, body);
  }

  // The tokens from `first` on as a statement that writes rows.
  WriteStatement ParsedWrite(size_t first) const {
    size_t begin = tokens_[first].position;
    size_t end = tokens_[end_ - 1].position + tokens_[end_ - 1].length;
    try {
      auto write = ParseWrite(std::string(text_.substr(begin, end - begin)));
      if (auto* insert = std::get_if<Insert>(&write)) insert->text = WholeText();
      return write;
    } catch (const WriteError& error) {
      throw SqlErrorAt(text_, begin + error.position, file_, error.message);
    }
  }

  // The query of an INSERT that begins at token `first`, as written: it stands last unless there
  // is an ON CONFLICT, and behind INSERT ... INTO name [AS alias] [(columns)] [BY ...].
  std::string QueryOf(const Insert& insert, size_t first) const {
    if (insert.query.empty() || insert.on_conflict != Insert::OnConflict::kError) return "";
    auto is_symbol = [&](size_t at, const char* symbol) {
      return tokens_[at].kind == Kind::kSymbol && tokens_[at].text == symbol;
    };
    auto is_word = [&](size_t at, const char* word) {
      return tokens_[at].kind == Kind::kWord &&
             duckdb::StringUtil::CIEquals(tokens_[at].text, word);
    };
    size_t at = first;
    while (at < end_ && !is_word(at, "INTO")) at++;
    at += 2;  // INTO, name
    while (at + 1 < end_ && is_symbol(at, ".")) at += 2;
    if (at + 1 < end_ && is_word(at, "AS")) at += 2;
    for (bool more = true; more && at + 1 < end_;) {
      more = false;
      if (is_word(at, "BY") || is_word(at, "OVERRIDING")) {
        at += 2;
        more = true;
      } else if (is_symbol(at, "(") && !insert.columns.empty()) {
        while (at < end_ && !is_symbol(at, ")")) at++;
        at++;
        more = true;
        if (at < end_ && is_symbol(at, "(")) more = false;  // a query in parentheses
      }
    }
    if (at >= end_) return insert.query;
    size_t begin = tokens_[at].position;
    return std::string(
        text_.substr(begin, tokens_[end_ - 1].position + tokens_[end_ - 1].length - begin));
  }

  // COPY name [(columns)] FROM 'file' [(FORMAT csv|parquet|json, HEADER [bool], DELIMITER 'x')]
  StatementBody ReadCopy() {
    CopyFrom copy;
    if (IsSymbol('(')) Fail("only COPY name FROM 'file' is a statement of Weir");
    copy.table = Name("table");
    if (TakeSymbol('(')) {
      do copy.columns.push_back(Name("column"));
      while (TakeSymbol(','));
      ExpectSymbol(')');
    }
    if (Is("TO")) Fail("rows leave by a query: POST /v1/sql?format=csv, parquet or arrow");
    Expect("FROM");
    copy.path = String("the name of a file");
    Take("WITH");
    if (TakeSymbol('(')) {
      do ReadCopyOption(copy);
      while (TakeSymbol(','));
      ExpectSymbol(')');
    }
    ExpectEnd();
    return copy;
  }

  void ReadCopyOption(CopyFrom& copy) {
    size_t position = Position();
    std::string option = duckdb::StringUtil::Lower(Name("option"));
    auto value = [&]() -> std::string {
      auto kind = Token().kind;
      bool is_value = kind == Kind::kWord || kind == Kind::kString || kind == Kind::kNumber;
      return is_value ? tokens_[at_++].text : "";
    };
    if (option == "format") {
      copy.format = duckdb::StringUtil::Lower(value());
      if (copy.format != "csv" && copy.format != "parquet" && copy.format != "json") {
        throw SqlErrorAt(text_, position, file_, "the format is csv, parquet or json");
      }
    } else if (option == "header") {
      std::string said = duckdb::StringUtil::Lower(value());
      copy.header = said != "false" && said != "0" && said != "off";
    } else if (option == "delimiter" || option == "delim" || option == "sep") {
      copy.delimiter = value();
      if (copy.delimiter.size() != 1) {
        throw SqlErrorAt(text_, position, file_, "the delimiter is one character");
      }
    } else {
      throw SqlErrorAt(text_, position, file_,
                       "COPY has no option \"" + option + "\" here: FORMAT, HEADER, DELIMITER");
    }
  }

  StatementBody ReadPump() {
    CreatePump create;
    create.if_not_exists = TakeIfNotExists();
    create.name = Name("pump");
    if (Take("WITH")) {
      ExpectSymbol('(');
      do {
        size_t position = Position();
        if (!TakeStart(Name("option"), create.from_now)) {
          throw SqlErrorAt(text_, position, file_, "a pump has one option: start");
        }
      } while (TakeSymbol(','));
      ExpectSymbol(')');
    }
    Expect("AS");
    if (!Is("INSERT")) Fail("expected INSERT INTO stream SELECT ...");
    auto write = ParsedWrite(at_);
    create.insert = std::get<Insert>(std::move(write));
    create.insert.query_text = QueryOf(create.insert, at_);
    return create;
  }

  // All that is left, as a query.
  std::string ReadQuery(const char* what) {
    if (at_ >= end_) Fail("expected a query");
    if (at_ + 4 < end_ && Is("EMIT", end_ - 4 - at_) && Is("CLOSE", end_ - 1 - at_)) {
      at_ = end_ - 4;
      Fail(
          "EMIT ON WINDOW CLOSE is said of a MATERIALIZED VIEW: make one, which keeps its late "
          "rows, too, and read it here");
    }
    std::string query = Rest();
    CheckQuery(query, Position(), what);
    at_ = end_;
    return query;
  }

  // start = 'now' | 'beginning'
  bool TakeStart(const std::string& option, bool& from_now) {
    if (!duckdb::StringUtil::CIEquals(option, "start")) return false;
    ExpectSymbol('=');
    size_t position = Position();
    std::string value = duckdb::StringUtil::Lower(String("a value"));
    if (value != "now" && value != "beginning") {
      throw SqlErrorAt(text_, position, file_, "start is 'beginning' or 'now'");
    }
    from_now = value == "now";
    return true;
  }

  std::string WholeText() const {
    size_t first = tokens_[begin_].position;
    return std::string(
        text_.substr(first, tokens_[end_ - 1].position + tokens_[end_ - 1].length - first));
  }

  void ReadColumn(Stream& stream, bool of_table = false) {
    size_t position = Position();
    Column column;
    column.name = Name("column");
    if (stream.Find(column.name)) {
      throw SqlErrorAt(text_, position, file_, "column \"" + column.name + "\" is there twice");
    }
    if (column.name == "_offset" || column.name == "_arrival_time" || column.name == "_watermark" ||
        (of_table && duckdb::StringUtil::CIEquals(column.name, kDeletedColumn))) {
      throw SqlErrorAt(text_, position, file_,
                       "\"" + column.name + "\" is a column that every " +
                           (of_table ? "table" : "stream") + " has by itself");
    }
    column.type = ReadType();
    while (at_ < end_ && !IsSymbol(',') && !IsSymbol(')')) {
      if (Is("NOT") && Is("NULL", 1)) {
        at_ += 2;
        column.not_null = true;
      } else if (Take("NULL")) {
      } else if (of_table && Is("PRIMARY") && Is("KEY", 1)) {
        if (stream.IsTable()) Fail("a table has one PRIMARY KEY");
        at_ += 2;
        stream.primary_key.push_back(stream.columns.size());
      } else if (Take("WITH")) {
        ReadColumnOptions(column);
      } else {
        Fail("unexpected \"" + Token().text + "\" in a column");
      }
    }
    stream.columns.push_back(std::move(column));
  }

  // The tokens up to what can only follow a type.
  duckdb::LogicalType ReadType() {
    size_t first = at_;
    int depth = 0;
    for (; at_ < end_; at_++) {
      if (depth == 0) {
        if (IsSymbol(',') || IsSymbol(')') || Is("NOT") || Is("NULL") || Is("PRIMARY")) break;
        // TIMESTAMP WITH TIME ZONE has a WITH of its own.
        if (Is("WITH") && !Is("TIME", 1)) break;
      }
      if (IsSymbol('(')) depth++;
      if (IsSymbol(')')) depth--;
    }
    if (at_ == first) Fail("expected a type");
    size_t begin = tokens_[first].position;
    size_t end = tokens_[at_ - 1].position + tokens_[at_ - 1].length;
    try {
      return ParseColumnType(std::string(text_.substr(begin, end - begin)));
    } catch (const Error& error) {
      throw SqlErrorAt(text_, begin, file_, error.message);
    }
  }

  void ReadColumnOptions(Column& column) {
    ExpectSymbol('(');
    do {
      std::string option = Name("column option");
      ExpectSymbol('=');
      size_t position = Position();
      std::string value = String("a value");
      if (!duckdb::StringUtil::CIEquals(option, "epoch")) {
        throw SqlErrorAt(text_, position, file_, "a column has no option \"" + option + "\"");
      }
      if (value == "s") {
        column.epoch = EpochUnit::kSeconds;
      } else if (value == "ms") {
        column.epoch = EpochUnit::kMillis;
      } else if (value == "us") {
        column.epoch = EpochUnit::kMicros;
      } else {
        throw SqlErrorAt(text_, position, file_, "an epoch is in 's', 'ms' or 'us'");
      }
    } while (TakeSymbol(','));
    ExpectSymbol(')');
  }

  // "5 SECONDS", "'1 day'", "INTERVAL '5 minutes'".
  Micros ReadInterval() {
    Take("INTERVAL");
    size_t position = Position();
    std::string text;
    if (Token().kind == Kind::kString) {
      text = tokens_[at_++].text;
    }
    while (Token().kind == Kind::kNumber || Token().kind == Kind::kWord) {
      text += (text.empty() ? "" : " ") + tokens_[at_++].text;
    }
    return IntervalMicros(text, position);
  }

  Micros IntervalMicros(const std::string& text, size_t position) const {
    duckdb::interval_t interval;
    if (!duckdb::Interval::FromString(text, interval) || interval.months != 0) {
      throw SqlErrorAt(text_, position, file_,
                       "\"" + text + "\" is no length of time (write for example '1 day')");
    }
    return interval.days * 86'400'000'000ll + interval.micros;
  }

  void ReadWatermark(Stream& stream) {
    at_ += 2;
    size_t position = Position();
    Watermark watermark;
    watermark.column = Name("column");
    auto column = stream.Find(watermark.column);
    if (!column) {
      throw SqlErrorAt(text_, position, file_,
                       "there is no column \"" + watermark.column + "\" before the WATERMARK");
    }
    auto id = stream.columns[*column].type.id();
    if (id != duckdb::LogicalTypeId::TIMESTAMP && id != duckdb::LogicalTypeId::TIMESTAMP_TZ) {
      throw SqlErrorAt(text_, position, file_, "a watermark needs a TIMESTAMP column");
    }
    Expect("AS");
    if (!duckdb::StringUtil::CIEquals(Name("column"), watermark.column)) {
      Fail("a watermark is written as COLUMN - INTERVAL ...");
    }
    if (TakeSymbol('-')) {
      size_t delay_position = Position();
      watermark.delay = ReadInterval();
      if (watermark.delay < 0) {
        throw SqlErrorAt(text_, delay_position, file_, "a watermark stays behind its column");
      }
    }
    stream.watermark = watermark;
  }

  void ReadStreamOptions(CreateStream& create) {
    Stream& stream = create.stream;
    ExpectSymbol('(');
    do {
      size_t position = Position();
      std::string option = duckdb::StringUtil::Lower(Name("option"));
      if (TakeStart(option, create.from_now)) continue;
      ExpectSymbol('=');
      size_t value_position = Position();
      std::string value = String("a value");
      if (option == "dedup_key") {
        auto column = stream.Find(value);
        if (!column) {
          throw SqlErrorAt(text_, value_position, file_, "there is no column \"" + value + "\"");
        }
        stream.dedup_key = stream.columns[*column].name;
      } else if (option == "dedup_window") {
        stream.dedup_window = IntervalMicros(value, value_position);
      } else if (option == "unknown_fields") {
        if (value != "ignore" && value != "reject") {
          throw SqlErrorAt(text_, value_position, file_, "unknown_fields is 'ignore' or 'reject'");
        }
        stream.unknown_fields = value == "reject" ? UnknownFields::kReject : UnknownFields::kIgnore;
      } else if (option == "idle_timeout") {
        if (!stream.watermark) {
          throw SqlErrorAt(text_, position, file_, "idle_timeout needs a WATERMARK");
        }
        stream.watermark->idle_timeout.reset();
        if (!duckdb::StringUtil::CIEquals(value, "never")) {
          stream.watermark->idle_timeout = IntervalMicros(value, value_position);
        }
      } else {
        static constexpr std::string_view kOptions[] = {"dedup_key", "dedup_window", "idle_timeout",
                                                        "unknown_fields", "start"};
        auto nearest = NearestName(option, std::begin(kOptions), std::end(kOptions));
        throw SqlErrorAt(text_, position, file_,
                         "a stream has no option \"" + option + "\"" +
                             (nearest.empty() ? "" : ", did you mean \"" + nearest + "\"?"));
      }
    } while (TakeSymbol(','));
    ExpectSymbol(')');
    if (stream.dedup_key.empty() != (stream.dedup_window == 0)) {
      if (stream.dedup_key.empty()) Fail("dedup_window needs a dedup_key");
      stream.dedup_window = 86'400'000'000ll;
    }
  }

  // STREAM, TABLE, PUMP or [MATERIALIZED] VIEW.
  ObjectKind TakeObjectKind() {
    if (Take("STREAM")) return ObjectKind::kStream;
    if (Take("TABLE")) return ObjectKind::kTable;
    if (Take("PUMP")) return ObjectKind::kPump;
    Take("MATERIALIZED");
    if (!Take("VIEW")) Fail("expected STREAM, TABLE, PUMP or VIEW");
    return ObjectKind::kView;
  }
  static const char* WordFor(ObjectKind kind) {
    switch (kind) {
      case ObjectKind::kStream: return "stream";
      case ObjectKind::kTable: return "table";
      case ObjectKind::kPump: return "pump";
      case ObjectKind::kView: return "view";
    }
    return "";
  }

  StatementBody ReadDrop() {
    Drop drop;
    drop.kind = TakeObjectKind();
    drop.if_exists = TakeIfExists();
    drop.name = Name(WordFor(drop.kind));
    drop.cascade = Take("CASCADE");
    if (!drop.cascade) Take("RESTRICT");
    ExpectEnd();
    return drop;
  }

  StatementBody ReadAlter() {
    Rename rename;
    rename.kind = TakeObjectKind();
    rename.if_exists = TakeIfExists();
    rename.name = Name(WordFor(rename.kind));
    if (!Is("RENAME") || !Is("TO", 1)) {
      Fail(
          "only the name can be altered: ALTER ... RENAME TO name; a view changes with CREATE OR "
          "REPLACE");
    }
    at_ += 2;
    rename.to = Name(WordFor(rename.kind));
    ExpectEnd();
    return rename;
  }

  StatementBody ReadSubscribe() {
    Take("TO");
    Subscribe subscribe;
    bool name =
        at_ + 1 == end_ && (Token().kind == Kind::kWord || Token().kind == Kind::kQuotedName);
    if (name) {
      subscribe.query = "FROM " + Rest();
      at_++;
    } else {
      subscribe.query = ReadQuery("a subscription");
    }
    return subscribe;
  }

  StatementBody ReadComment() {
    Expect("ON");
    Comment comment;
    comment.kind = TakeObjectKind();
    comment.name = Name(WordFor(comment.kind));
    Expect("IS");
    if (!Take("NULL")) comment.text = String("the comment");
    ExpectEnd();
    return comment;
  }

  StatementBody ReadExplain(const std::string& text) {
    size_t start = at_++;
    Explain explain;
    explain.analyze = Take("ANALYZE");
    if (Is("MATERIALIZED") && Is("VIEW", 1)) at_++;
    if (Take("VIEW") || Take("PUMP")) {
      explain.view = Name("view");
      ExpectEnd();
      return explain;
    }
    if (at_ >= end_) {
      at_ = start;
      Fail("expected a query or VIEW name after EXPLAIN");
    }
    if (at_ + 1 == end_) {  // one word is a view's name
      explain.view = Name("view");
      return explain;
    }
    explain.query = Rest();
    CheckQuery(explain.query, Position());
    return explain;
  }

  StatementBody ReadShow() {
    Show show{ShowWhat::kAll};
    if (Take("STREAMS")) {
      show.what = ShowWhat::kStreams;
    } else if (Is("MATERIALIZED") && Is("VIEWS", 1)) {
      at_ += 2;
      show.what = ShowWhat::kViews;
    } else if (Take("VIEWS")) {
      show.what = ShowWhat::kViews;
    } else if (Take("PUMPS")) {
      show.what = ShowWhat::kPumps;
    } else if (Take("TABLES")) {
      show.what = ShowWhat::kTables;
    } else if (Take("ALL")) {
    } else if (Take("TIMEZONE")) {
      show.what = ShowWhat::kTimeZone;
    } else if (Is("TIME") && Is("ZONE", 1)) {
      at_ += 2;
      show.what = ShowWhat::kTimeZone;
    } else {
      Fail("expected STREAMS, TABLES, VIEWS, PUMPS, ALL or TIME ZONE");
    }
    ExpectEnd();
    return show;
  }

  StatementBody ReadDescribe(const std::string& text) {
    at_++;
    if (Is("SELECT") || Is("WITH") || Is("FROM")) return Query{text};
    for (const char* kind : {"STREAM", "TABLE", "VIEW", "PUMP"}) Take(kind);
    Describe describe{Name("stream, table or view")};
    ExpectEnd();
    return describe;
  }

  StatementBody ReadSet() {
    at_++;
    if (Is("TIME") && Is("ZONE", 1)) {
      at_ += 2;
    } else if (Take("TIMEZONE")) {
      if (!TakeSymbol('=')) Expect("TO");
    } else {
      Fail("only the time zone can be set: SET TimeZone = 'America/New_York'");
    }
    SetTimeZone set{String("a time zone")};
    ExpectEnd();
    return set;
  }

  std::string_view text_, file_;
  const std::vector<SqlToken>& tokens_;
  size_t at_, end_;
  size_t begin_ = at_;
};

}  // namespace

namespace {

// Calls `each` with the tokens [begin, end) of every statement.
template <class Each>
void ForEachStatement(const std::vector<SqlToken>& tokens, Each each) {
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); i++) {
    bool ends =
        tokens[i].kind == Kind::kEnd || (tokens[i].kind == Kind::kSymbol && tokens[i].text == ";");
    if (!ends) continue;
    if (i > begin) each(begin, i);
    begin = i + 1;
  }
}

}  // namespace

std::vector<Statement> ParseStatements(std::string_view text, std::string_view file) {
  auto tokens = TokenizeSql(text, file);
  std::vector<Statement> statements;
  ForEachStatement(tokens, [&](size_t begin, size_t end) {
    statements.push_back(StatementParser(text, file, tokens, begin, end).Parse());
  });
  return statements;
}

std::vector<Statement> ParseStatements(std::string_view text, std::string_view file,
                                       std::vector<WrongStatement>& wrong) {
  std::vector<Statement> statements;
  std::vector<SqlToken> tokens;
  try {
    tokens = TokenizeSql(text, file);
  } catch (const Error& error) {
    wrong.push_back({error, {}});
    return statements;
  }
  constexpr size_t kHeadTokens = 8;  // CREATE OR REPLACE MATERIALIZED VIEW NAME and the like
  ForEachStatement(tokens, [&](size_t begin, size_t end) {
    try {
      statements.push_back(StatementParser(text, file, tokens, begin, end).Parse());
    } catch (const Error& error) {
      auto& entry = wrong.emplace_back(WrongStatement{error, {}});
      for (size_t i = begin; i < std::min(end, begin + kHeadTokens); i++) {
        bool name = tokens[i].kind == Kind::kWord || tokens[i].kind == Kind::kQuotedName;
        if (name) entry.names.push_back(duckdb::StringUtil::Lower(tokens[i].text));
      }
    }
  });
  return statements;
}

}  // namespace weir
