#include "sql/window_functions.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "sql/statement.h"
#include "sql/tokens.h"

namespace weir {
namespace {

using Kind = SqlToken::Kind;

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

struct Shape {
  std::string name;
  std::vector<std::string> arguments;  // after the table and its time, in order
  size_t required;
};

const Shape* FindShape(const std::string& name) {
  static const std::vector<Shape> shapes = {{"TUMBLE", {"SIZE", "OFFSET"}, 1},
                                            {"HOP", {"SLIDE", "SIZE", "OFFSET"}, 2},
                                            {"CUMULATE", {"STEP", "SIZE", "OFFSET"}, 2},
                                            {"SESSION", {"GAP"}, 1}};
  for (auto& shape : shapes) {
    if (shape.name == name) return &shape;
  }
  return nullptr;
}

class Expander {
 public:
  Expander(const std::string& text, const QueryPlace& place, const WindowRule* rule)
      : text_(text), place_(place), rule_(rule), tokens_(TokenizeSql(text, place.file)) {}

  std::string Run() {
    std::string out;
    size_t copied = 0;
    for (size_t at = 0; tokens_[at].kind != Kind::kEnd;) {
      auto call = CallAt(at);
      if (!call) {
        at++;
        continue;
      }
      out += text_.substr(copied, tokens_[at].position - copied);
      out += Expand(*call);
      copied = End(call->last);
      // A query that spans lines takes as many as before, for the places errors name.
      auto lines = [](std::string_view part) { return std::count(part.begin(), part.end(), '\n'); };
      auto before = lines(std::string_view(text_).substr(0, copied)), now = lines(out);
      if (now < before) out.append(static_cast<size_t>(before - now), '\n');
      at = call->last + 1;
    }
    return out + text_.substr(copied);
  }

 private:
  struct Span {
    size_t first, last;  // tokens, both included
  };
  struct Call {
    const Shape* shape;
    size_t name;  // of its token
    size_t last;  // its closing parenthesis, or that of the TABLE( ) around it
    std::vector<Span> arguments;
  };

  bool IsSymbol(size_t at, char symbol) const {
    return tokens_[at].kind == Kind::kSymbol && tokens_[at].text[0] == symbol;
  }
  bool IsWord(size_t at, std::string_view upper) const {
    return tokens_[at].kind == Kind::kWord && Upper(tokens_[at].text) == upper;
  }
  size_t End(size_t token) const { return tokens_[token].position + tokens_[token].length; }
  std::string Text(Span span) const {
    if (span.first > span.last) return "";
    size_t begin = tokens_[span.first].position;
    return text_.substr(begin, End(span.last) - begin);
  }
  [[noreturn]] void Fail(size_t token, const std::string& message) const {
    auto text = place_.text.empty() ? std::string_view(text_) : place_.text;
    throw SqlErrorAt(text, place_.position + tokens_[token].position, place_.file, message);
  }

  // Starts with TABLE or DATA => inside the parenthesis: what no other function does.
  std::optional<Call> CallAt(size_t at) const {
    if (IsWord(at, "TABLE") && IsSymbol(at + 1, '(')) {
      auto call = CallAt(at + 2);
      if (!call || !IsSymbol(call->last + 1, ')')) return std::nullopt;
      call->last++;
      return call;
    }
    if (tokens_[at].kind != Kind::kWord || !IsSymbol(at + 1, '(')) return std::nullopt;
    const Shape* shape = FindShape(Upper(tokens_[at].text));
    if (!shape) return std::nullopt;
    bool named = IsWord(at + 2, "DATA") && IsSymbol(at + 3, '=') && IsSymbol(at + 4, '>');
    if (!named && !IsWord(at + 2, "TABLE")) return std::nullopt;
    Call call{shape, at, at + 2, {}};
    size_t first = at + 2;
    int depth = 0;
    for (;; call.last++) {
      if (tokens_[call.last].kind == Kind::kEnd) Fail(at + 1, "this parenthesis is never closed");
      bool closes = IsSymbol(call.last, ')');
      if (depth == 0 && (closes || IsSymbol(call.last, ','))) {
        call.arguments.push_back({first, call.last - 1});
        first = call.last + 1;
        if (closes) return WithWholePartition(std::move(call));
      }
      if (IsSymbol(call.last, '(')) depth++;
      if (closes) depth--;
    }
  }

  // PARTITION BY a, b is one argument, for all its commas.
  Call WithWholePartition(Call call) const {
    auto& arguments = call.arguments;
    bool parted = false;
    for (size_t at = arguments[0].first; at < arguments[0].last; at++) {
      parted = parted || (IsWord(at, "PARTITION") && IsWord(at + 1, "BY"));
    }
    while (parted && arguments.size() > 1 && !IsWord(arguments[1].first, "DESCRIPTOR") &&
           !(IsSymbol(arguments[1].first + 1, '=') && IsSymbol(arguments[1].first + 2, '>'))) {
      arguments[0].last = arguments[1].last;
      arguments.erase(arguments.begin() + 1);
    }
    return call;
  }

  struct Window {
    std::string data, time, partition, condition;
    std::map<std::string, std::string> spans;  // SIZE and the like, as SQL
  };

  // The arguments by name.
  std::map<std::string, Span> Given(const Call& call) const {
    std::map<std::string, Span> given;
    std::vector<std::string> order = {"DATA", "TIMECOL"};
    for (auto& name : call.shape->arguments) order.push_back(name);
    for (size_t i = 0; i < call.arguments.size(); i++) {
      Span span = call.arguments[i];
      if (span.first > span.last) Fail(call.name, "an argument is missing");
      std::string name;
      if (span.last >= span.first + 3 && IsSymbol(span.first + 1, '=') &&
          IsSymbol(span.first + 2, '>')) {
        name = Upper(tokens_[span.first].text);
        if (std::find(order.begin(), order.end(), name) == order.end()) {
          Fail(span.first, call.shape->name + " has no argument " + name);
        }
        span.first += 3;
      } else if (i < order.size()) {
        name = order[i];
      } else {
        Fail(span.first,
             call.shape->name + " has at most " + std::to_string(order.size()) + " arguments");
      }
      if (!given.emplace(name, span).second) Fail(span.first, name + " is given twice");
    }
    for (size_t i = 0; i < 2 + call.shape->required; i++) {
      if (!given.contains(order[i])) {
        Fail(call.name,
             call.shape->name + " needs " + order[i] + ", its argument " + std::to_string(i + 1));
      }
    }
    return given;
  }

  Window Read(const Call& call) const {
    auto given = Given(call);
    Window window;
    ReadData(given.at("DATA"), *call.shape, window);
    window.time = ReadDescriptor(given.at("TIMECOL"));
    for (auto& name : call.shape->arguments) {
      if (!given.contains(name)) continue;
      if (name != "OFFSET") CheckLength(given.at(name), name);
      window.spans[name] = "(" + Text(given.at(name)) + ")";
    }
    return window;
  }

  // INTERVAL '0' SECOND and INTERVAL '-1' DAY would fail on every row.
  void CheckLength(const Span& span, const std::string& name) const {
    if (span.first >= span.last || !IsWord(span.first, "INTERVAL")) return;
    auto& length = tokens_[span.first + 1].text;
    std::string_view number = std::string_view(length).substr(0, length.find(' '));
    bool none = number.starts_with('-') || number.find_first_not_of('0') == number.npos;
    if (none) Fail(span.first, name + " is longer than nothing");
  }

  // TABLE name, TABLE (query), each with PARTITION BY columns.
  void ReadData(Span span, const Shape& shape, Window& window) const {
    if (!IsWord(span.first, "TABLE")) Fail(span.first, "expected TABLE and the name of a stream");
    Span table{span.first + 1, span.last};
    int depth = 0;
    for (size_t at = table.first; at < span.last; at++) {
      if (IsSymbol(at, '(')) depth++;
      if (IsSymbol(at, ')')) depth--;
      if (depth > 0 || !IsWord(at, "PARTITION") || !IsWord(at + 1, "BY")) continue;
      if (shape.name != "SESSION") Fail(at, "only SESSION takes PARTITION BY");
      table.last = at - 1;
      window.partition = Text({at + 2, span.last});
      if (IsSymbol(at + 2, '(')) window.partition = Text({at + 3, span.last - 1});
      break;
    }
    if (table.first > table.last) Fail(span.first, "expected the name of a stream after TABLE");
    QueryPlace place = place_;
    if (place.text.empty()) place.text = text_;
    place.position += tokens_[table.first].position;
    window.data = ExpandWindowFunctions(Text(table), place);
  }

  std::string ReadDescriptor(Span span) const {
    if (!IsWord(span.first, "DESCRIPTOR") || !IsSymbol(span.first + 1, '(') ||
        span.last < span.first + 3 || !IsSymbol(span.last, ')')) {
      Fail(span.first, "expected DESCRIPTOR(column), the column with the time");
    }
    // Quoted, for a name may be a keyword elsewhere ("at" is).
    bool one_word = span.last == span.first + 3 && tokens_[span.first + 2].kind == Kind::kWord;
    std::string name = Text({span.first + 2, span.last - 1});
    return one_word ? "\"" + name + "\"" : name;
  }

  // A length that is written as INTERVAL '10' SECOND, INTERVAL 10 SECONDS or INTERVAL '10 seconds'.
  struct Length {
    int64_t months = 0, seconds = 0;
    bool by_calendar = false;  // in days or more
  };
  std::optional<Length> LengthIn(const Span& span) const {
    static const std::map<std::string, Length> units = {
        {"SECOND", {0, 1, false}}, {"MINUTE", {0, 60, false}},  {"HOUR", {0, 3600, false}},
        {"DAY", {0, 86400, true}}, {"WEEK", {0, 604800, true}}, {"MONTH", {1, 0, true}},
        {"QUARTER", {3, 0, true}}, {"YEAR", {12, 0, true}}};
    if (!IsWord(span.first, "INTERVAL") || span.last <= span.first) return std::nullopt;
    std::string number = tokens_[span.first + 1].text, unit;
    auto space = number.find(' ');
    if (span.last == span.first + 2) {
      unit = Upper(tokens_[span.last].text);
    } else if (span.last == span.first + 1 && space != std::string::npos) {
      unit = Upper(number.substr(space + 1));
      number.resize(space);
    }
    if (unit.ends_with('S')) unit.pop_back();
    bool digits = !number.empty() && number.size() < 8 &&
                  number.find_first_not_of("0123456789") == std::string::npos;
    auto found = units.find(unit);
    if (!digits || found == units.end()) return std::nullopt;
    auto count = std::stoll(number);
    auto& one = found->second;
    return Length{count * one.months, count * one.seconds, one.by_calendar};
  }

  std::optional<Length> LengthOf(const Call& call, const char* name) const {
    return LengthIn(Given(call).at(name));
  }

  // Whether all lengths are so many microseconds, whatever the calendar says.
  bool IsFixed(const Call& call) const {
    for (auto& [name, span] : Given(call)) {
      if (name == "DATA" || name == "TIMECOL" || name == "OFFSET") continue;
      auto length = LengthIn(span);
      if (!length || length->by_calendar) return false;
    }
    return true;
  }

  bool SizeIsMultipleOfSlide(const Call& call) const {
    auto slide = LengthOf(call, "SLIDE"), size = LengthOf(call, "SIZE");
    if (!slide || !size || slide->by_calendar != size->by_calendar) return false;
    if (slide->months) return size->months && size->months % slide->months == 0;
    return !size->months && slide->seconds > 0 && size->seconds % slide->seconds == 0;
  }

  // What DuckDB computes is checked there again.
  void CheckSteps(const Call& call) const {
    auto step = LengthOf(call, "STEP"), size = LengthOf(call, "SIZE");
    if (!step || !size) return;
    constexpr int64_t kDay = 86400;
    bool whole = step->months   ? size->months && size->months % step->months == 0
                 : size->months ? step->seconds && kDay % step->seconds == 0
                                : step->seconds && size->seconds % step->seconds == 0;
    if (whole) return;
    Fail(call.name, "the SIZE of CUMULATE is a multiple of its STEP, which comes first: STEP " +
                        Text(Given(call).at("STEP")) + ", SIZE " + Text(Given(call).at("SIZE")));
  }

  std::string Expand(const Call& call) const {
    Window window = Read(call);
    if (!rule_) return Expand(call, window);
    WindowInput input{window.data, window.time, call.shape->name == "SESSION", ""};
    rule_->before(input);
    window.data = input.data;
    window.time = input.time;
    window.condition = input.condition;
    return rule_->after(input, Expand(call, window));
  }

  std::string Expand(const Call& call, const Window& window) const {
    std::string from = " FROM " + window.data + " WHERE " + window.time + " IS NOT NULL";
    if (!window.condition.empty()) from += " AND " + window.condition;
    if (call.shape->name == "SESSION") return ExpandSession(window, from);
    if (call.shape->name == "CUMULATE") CheckSteps(call);
    return IsFixed(call) ? ExpandFixed(call, window, from) : ExpandByCalendar(call, window, from);
  }

  static constexpr const char* kLastOf = " - INTERVAL 1 MILLISECOND AS window_time";

  std::string ExpandFixed(const Call& call, const Window& window, const std::string& from) const {
    auto span = [&](const char* name) { return window.spans.at(name); };
    auto& time = window.time;
    std::string origin = "TIMESTAMP '1970-01-01'";
    if (window.spans.contains("OFFSET")) origin = "(" + origin + " + " + span("OFFSET") + ")";
    auto bucket = [&](const std::string& size, const std::string& of) {
      return "time_bucket(" + size + ", " + of + ", " + origin + ")";
    };
    if (call.shape->name == "TUMBLE") {
      std::string start = bucket(span("SIZE"), time);
      std::string end = start + " + " + span("SIZE");
      return "(SELECT *, " + start + " AS window_start, " + end + " AS window_end, " + end +
             kLastOf + from + ")";
    }
    if (call.shape->name == "HOP" && SizeIsMultipleOfSlide(call)) {
      // Rows of one slide are in the same windows, and need not be told apart by their times.
      return "(SELECT * EXCLUDE (weir_slide), window_start + " + span("SIZE") +
             " AS window_end, window_start + " + span("SIZE") + kLastOf +
             " FROM (SELECT *, unnest(generate_series(weir_slide - (" + span("SIZE") + " - " +
             span("SLIDE") + "), weir_slide, " + span("SLIDE") +
             ")) AS window_start FROM (SELECT *, " + bucket(span("SLIDE"), time) +
             " AS weir_slide" + from + ")))";
    }
    if (call.shape->name == "HOP") {
      std::string first =
          bucket(span("SLIDE"), time + " - " + span("SIZE")) + " + " + span("SLIDE");
      return "(SELECT *, window_start + " + span("SIZE") + " AS window_end, window_start + " +
             span("SIZE") + kLastOf + " FROM (SELECT *, unnest(generate_series(" + first + ", " +
             time + ", " + span("SLIDE") + ")) AS window_start" + from + "))";
    }
    std::string start = bucket(span("SIZE"), time);
    return "(SELECT *, window_end" + std::string(kLastOf) + " FROM (SELECT *, " + start +
           " AS window_start, unnest(generate_series(" + bucket(span("STEP"), time) + " + " +
           span("STEP") + ", " + start + " + " + span("SIZE") + ", " + span("STEP") +
           ")) AS window_end" + from + "))";
  }

  // By duck/calendar_functions.
  std::string ExpandByCalendar(const Call& call, const Window& window,
                               const std::string& from) const {
    auto span = [&](const char* name) { return window.spans.at(name); };
    auto& time = window.time;
    std::string offset = window.spans.contains("OFFSET") ? span("OFFSET") : "INTERVAL 0 SECONDS";
    auto function = [&](const char* name, std::initializer_list<std::string> arguments) {
      std::string text = name;
      for (auto& argument : arguments) text += (text == name ? "(" : ", ") + argument;
      return text + ")";
    };
    if (call.shape->name == "TUMBLE") {
      auto start = function("weir_window_start", {time, span("SIZE"), offset});
      auto end = function("weir_window_end", {start, span("SIZE"), offset, span("SIZE")});
      return "(SELECT *, " + start + " AS window_start, " + end + " AS window_end, " + end +
             kLastOf + from + ")";
    }
    if (call.shape->name == "HOP") {
      auto end = function("weir_window_end", {"window_start", span("SLIDE"), offset, span("SIZE")});
      auto starts_of = [&](const std::string& of) {
        return "unnest(" + function("weir_hop_starts", {of, span("SLIDE"), span("SIZE"), offset}) +
               ") AS window_start";
      };
      std::string ends = end + " AS window_end, " + end + kLastOf;
      if (!SizeIsMultipleOfSlide(call)) {
        return "(SELECT *, " + ends + " FROM (SELECT *, " + starts_of(time) + from + "))";
      }
      auto slide = function("weir_window_start", {time, span("SLIDE"), offset});
      return "(SELECT * EXCLUDE (weir_slide), " + ends + " FROM (SELECT *, " +
             starts_of("weir_slide") + " FROM (SELECT *, " + slide + " AS weir_slide" + from +
             ")))";
    }
    return "(SELECT *, window_end" + std::string(kLastOf) + " FROM (SELECT *, " +
           function("weir_window_start", {time, span("SIZE"), offset}) +
           " AS window_start, unnest(" +
           function("weir_cumulate_ends", {time, span("STEP"), span("SIZE"), offset}) +
           ") AS window_end" + from + "))";
  }

  // A session begins with a row that comes longer than the gap after the one before it; its rows
  // are those until the next such.  A gap is a length of time: a day of it has 24 hours.
  std::string ExpandSession(const Window& window, const std::string& from) const {
    auto& time = window.time;
    std::string gap = "to_microseconds(epoch_us(" + window.spans.at("GAP") + "))";
    std::string of = window.partition.empty() ? "" : "PARTITION BY " + window.partition + " ";
    std::string of_session = "PARTITION BY " +
                             (window.partition.empty() ? "" : window.partition + ", ") +
                             "window_start";
    std::string end = "max(" + time + ") OVER (" + of_session + ") + " + gap;
    return "(SELECT * EXCLUDE (weir_begins), " + end + " AS window_end, " + end + kLastOf +
           " FROM (SELECT *, max(CASE WHEN weir_begins THEN " + time + " END) OVER (" + of +
           "ORDER BY " + time + ") AS window_start FROM (SELECT *, coalesce(" + time + " > lag(" +
           time + ") OVER (" + of + "ORDER BY " + time + ") + " + gap + ", true) AS weir_begins" +
           from + ")))";
  }

  const std::string& text_;
  QueryPlace place_;
  const WindowRule* rule_;
  std::vector<SqlToken> tokens_;
};

bool MayHaveOne(const std::string& query) {
  std::string upper = Upper(query);
  if (upper.find("DESCRIPTOR") == std::string::npos && upper.find("TABLE") == std::string::npos) {
    return false;
  }
  for (auto* name : {"TUMBLE", "HOP", "CUMULATE", "SESSION"}) {
    if (upper.find(name) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::string ExpandWindowFunctions(const std::string& query, const QueryPlace& place,
                                  const WindowRule* rule) {
  if (!MayHaveOne(query)) return query;
  return Expander(query, place, rule).Run();
}

}  // namespace weir
