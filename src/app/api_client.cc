#include "app/api_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace weir {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

JsonDocument ParseJson(const std::string& text) {
  JsonDocument document(yyjson_read(text.data(), text.size(), YYJSON_READ_BIGNUM_AS_RAW),
                        yyjson_doc_free);
  if (!document) throw Error(ErrorCode::kInternal, "the server's answer is no JSON: " + text);
  return document;
}

std::string JsonText(yyjson_val* value, const char* key) {
  auto* member = yyjson_obj_get(value, key);
  return yyjson_is_str(member) ? std::string(yyjson_get_str(member), yyjson_get_len(member)) : "";
}

uint64_t JsonNumber(yyjson_val* value, const char* key) {
  return yyjson_get_uint(yyjson_obj_get(value, key));
}

void CheckAnswer(const HttpAnswer& answer) {
  if (answer.status == 200) return;
  auto document = ParseJson(answer.body);
  auto* error = yyjson_obj_get(yyjson_doc_get_root(document.get()), "error");
  std::string message = JsonText(error, "message");
  if (message.empty()) message = "the server answered " + std::to_string(answer.status);
  throw Error(ErrorCode::kQueryFailed, message, JsonText(error, "hint"));
}

namespace {

std::string CellText(yyjson_val* value) {
  if (!value || yyjson_is_null(value)) return "NULL";
  if (yyjson_is_str(value)) return std::string(yyjson_get_str(value), yyjson_get_len(value));
  size_t size = 0;
  std::unique_ptr<char, decltype(&free)> text(yyjson_val_write(value, 0, &size), free);
  return std::string(text.get(), size);
}

// Characters, not bytes.
size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string Padded(const std::string& text, size_t width, bool right) {
  std::string space(width - std::min(width, Width(text)), ' ');
  return right ? space + text : text + space;
}

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.-+eE") == std::string::npos;
}

}  // namespace

TextTable ReadTable(yyjson_val* root) {
  TextTable table;
  table.notice = JsonText(root, "notice");
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(yyjson_obj_get(root, "columns"), index, count, entry) {
    table.columns.push_back(JsonText(entry, "name"));
  }
  table.rows = ReadRows(yyjson_obj_get(root, "rows"));
  return table;
}

std::vector<std::vector<std::string>> ReadRows(yyjson_val* rows) {
  std::vector<std::vector<std::string>> read;
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(rows, index, count, entry) {
    std::vector<std::string> row;
    size_t column, columns;
    yyjson_val* cell;
    yyjson_arr_foreach(entry, column, columns, cell) { row.push_back(CellText(cell)); }
    read.push_back(std::move(row));
  }
  return read;
}

std::string DrawTable(const TextTable& table) {
  std::vector<size_t> widths;
  std::vector<bool> numeric;
  constexpr size_t kWidthMax = 80;
  for (size_t i = 0; i < table.columns.size(); i++) {
    size_t width = Width(table.columns[i]);
    bool all_numbers = !table.rows.empty();
    for (auto& row : table.rows) {
      width = std::max(width, Width(row[i]));
      all_numbers &= IsNumber(row[i]) || row[i] == "NULL";
    }
    widths.push_back(std::min(width, kWidthMax));
    numeric.push_back(all_numbers);
  }
  auto line = [&](const char* left, const char* middle, const char* right) {
    std::string text = left;
    for (size_t i = 0; i < widths.size(); i++) {
      for (size_t k = 0; k < widths[i] + 2; k++) text += "─";
      text += i + 1 < widths.size() ? middle : right;
    }
    return text + "\n";
  };
  std::string out = line("┌", "┬", "┐");
  auto add = [&](const std::vector<std::string>& cells, bool header) {
    out += "│";
    for (size_t i = 0; i < widths.size(); i++) {
      std::string cell = cells[i];
      std::replace(cell.begin(), cell.end(), '\n', ' ');
      if (Width(cell) > widths[i]) cell = cell.substr(0, widths[i] - 1) + "…";
      out += " " + Padded(cell, widths[i], numeric[i] && !header) + " │";
    }
    out += "\n";
  };
  add(table.columns, true);
  out += line("├", "┼", "┤");
  for (auto& row : table.rows) add(row, false);
  out += line("└", "┴", "┘");
  return out + fmt::format("{} row{}\n", table.rows.size(), table.rows.size() == 1 ? "" : "s");
}

}  // namespace weir
