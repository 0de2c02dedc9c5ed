// One line of JSON a figure, as ./bench reads them.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace weir {

inline double Seconds(auto work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Figure {
  std::string bench, name;
  double value = 0;
  std::string unit;
  double must = 0;
  bool at_most = false;  // `must` is a ceiling, not a floor
  std::vector<std::pair<std::string, double>> beside;
};

inline void Report(const Figure& figure) {
  bool ok = figure.at_most ? figure.value <= figure.must : figure.value >= figure.must;
  std::string beside;
  for (auto& [name, value] : figure.beside) {
    beside += fmt::format("{}\"{}\":{:.4g}", beside.empty() ? "" : ",", name, value);
  }
  fmt::print(
      "{{\"bench\":\"{}\",\"case\":\"{}\",\"value\":{:.4g},\"unit\":\"{}\",\"must\":{:.4g},"
      "\"ok\":{},\"beside\":{{{}}}}}\n",
      figure.bench, figure.name, figure.value, figure.unit, figure.must, ok, beside);
  std::fflush(stdout);
}

}  // namespace weir
