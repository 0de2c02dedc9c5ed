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
    if (Take("DROP")) return ReadDrop();
    if (Take("COMMENT")) return ReadComment();
    if (Is("EXPLAIN")) return ReadExplain(text);
    if (Take("SHOW")) return ReadShow();
    if (Is("DESCRIBE") || Is("DESC")) return ReadDescribe(text);
    if (Is("SET")) return ReadSet();
    for (const char* word : {"INSERT", "UPDATE", "DELETE", "ALTER", "TRUNCATE", "MERGE"}) {
      if (Is(word)) {
        Fail(std::string(word) +
             " is not a statement of Weir: events come in through POST "
             "/v1/streams/NAME/events, and a view changes with its query");
      }
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
    bool materialized = Take("MATERIALIZED");
    if (Take("VIEW")) return ReadView(materialized, or_replace);
    if (Is("TABLE")) Fail("tables are not supported yet; use a stream (CREATE STREAM)");
    Fail(materialized ? "expected VIEW" : "expected STREAM, VIEW or MATERIALIZED VIEW");
  }

  StatementBody ReadView(bool materialized, bool or_replace) {
    CreateView create;
    create.or_replace = or_replace;
    create.if_not_exists = TakeIfNotExists();
    create.view.name = Name("view");
    create.view.materialized = materialized;
    Expect("AS");
    if (at_ >= end_) Fail("expected a query after AS");
    size_t position = Position();
    create.view.query = Rest();
    create.view.sql = std::string(text_.substr(
        tokens_[begin_].position,
        tokens_[end_ - 1].position + tokens_[end_ - 1].length - tokens_[begin_].position));
    CheckQuery(create.view.query, position);
    return create;
  }

  // Only the grammar; what the names mean is looked at when the view is made.
  void CheckQuery(const std::string& query, size_t position) const {
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
    throw SqlErrorAt(text_, position, file_, "a view is made of one SELECT, VALUES or FROM query");
  }

  StatementBody ReadStream() {
    CreateStream create;
    create.if_not_exists = TakeIfNotExists();
    Stream& stream = create.stream;
    stream.name = Name("stream");
    ExpectSymbol('(');
    do {
      if (Is("WATERMARK") && Is("FOR", 1)) {
        ReadWatermark(stream);
      } else {
        ReadColumn(stream);
      }
    } while (TakeSymbol(','));
    ExpectSymbol(')');
    if (stream.columns.empty()) Fail("a stream has at least one column");
    if (Take("WITH")) ReadStreamOptions(stream);
    ExpectEnd();
    stream.sql = std::string(text_.substr(
        tokens_[begin_].position,
        tokens_[end_ - 1].position + tokens_[end_ - 1].length - tokens_[begin_].position));
    return create;
  }

  void ReadColumn(Stream& stream) {
    size_t position = Position();
    Column column;
    column.name = Name("column");
    if (stream.Find(column.name)) {
      throw SqlErrorAt(text_, position, file_, "column \"" + column.name + "\" is there twice");
    }
    if (column.name == "_offset" || column.name == "_arrival_time") {
      throw SqlErrorAt(text_, position, file_,
                       "\"" + column.name + "\" is a column that every stream has by itself");
    }
    column.type = ReadType();
    while (at_ < end_ && !IsSymbol(',') && !IsSymbol(')')) {
      if (Is("NOT") && Is("NULL", 1)) {
        at_ += 2;
        column.not_null = true;
      } else if (Take("NULL")) {
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
        if (IsSymbol(',') || IsSymbol(')') || Is("NOT") || Is("NULL")) break;
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
    if (TakeSymbol('-')) watermark.delay = ReadInterval();
    stream.watermark = watermark;
  }

  void ReadStreamOptions(Stream& stream) {
    ExpectSymbol('(');
    do {
      size_t position = Position();
      std::string option = duckdb::StringUtil::Lower(Name("option"));
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
      } else {
        static constexpr std::string_view kOptions[] = {"dedup_key", "dedup_window",
                                                        "unknown_fields"};
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

  StatementBody ReadDrop() {
    Drop drop;
    if (Take("STREAM")) {
      drop.kind = ObjectKind::kStream;
    } else {
      Take("MATERIALIZED");
      if (!Take("VIEW")) Fail("expected STREAM or VIEW");
      drop.kind = ObjectKind::kView;
    }
    drop.if_exists = TakeIfExists();
    drop.name = Name(drop.kind == ObjectKind::kStream ? "stream" : "view");
    drop.cascade = Take("CASCADE");
    if (!drop.cascade) Take("RESTRICT");
    ExpectEnd();
    return drop;
  }

  StatementBody ReadComment() {
    Expect("ON");
    Comment comment;
    if (Take("STREAM")) {
      comment.kind = ObjectKind::kStream;
    } else {
      Take("MATERIALIZED");
      if (!Take("VIEW")) Fail("expected STREAM or VIEW");
      comment.kind = ObjectKind::kView;
    }
    comment.name = Name(comment.kind == ObjectKind::kStream ? "stream" : "view");
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
    if (Take("VIEW")) {
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
    } else if (Take("TABLES")) {
      show.what = ShowWhat::kTables;
    } else if (Take("ALL")) {
    } else if (Take("TIMEZONE")) {
      show.what = ShowWhat::kTimeZone;
    } else if (Is("TIME") && Is("ZONE", 1)) {
      at_ += 2;
      show.what = ShowWhat::kTimeZone;
    } else {
      Fail("expected STREAMS, VIEWS, ALL or TIME ZONE");
    }
    ExpectEnd();
    return show;
  }

  StatementBody ReadDescribe(const std::string& text) {
    at_++;
    if (Is("SELECT") || Is("WITH") || Is("FROM")) return Query{text};
    for (const char* kind : {"STREAM", "VIEW"}) Take(kind);
    Describe describe{Name("stream or view")};
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

std::vector<Statement> ParseStatements(std::string_view text, std::string_view file) {
  auto tokens = TokenizeSql(text, file);
  std::vector<Statement> statements;
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); i++) {
    bool ends =
        tokens[i].kind == Kind::kEnd || (tokens[i].kind == Kind::kSymbol && tokens[i].text == ";");
    if (!ends) continue;
    if (i > begin) statements.push_back(StatementParser(text, file, tokens, begin, i).Parse());
    begin = i + 1;
  }
  return statements;
}

}  // namespace weir
