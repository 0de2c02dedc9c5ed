// One thread that takes queries from the pool and runs them in a worker process of its own.
// Owned by Queries.
#pragma once

#include <memory>
#include <thread>

#include "query/job.h"
#include "query/service.h"

namespace weir {

class QueryRunner {
 public:
  explicit QueryRunner(Queries& queries);
  ~QueryRunner();  // once Queries says it stops

  // Cancels the query that runs now, if any.  From any thread.
  void CancelCurrent();

 private:
  struct Prepared {
    DataMessage data;
    std::vector<Snapshot> views;  // those of the data, with their rows
    std::shared_ptr<void> pin;
  };

  void Loop();
  // Nothing when it went well.
  std::optional<Error> RunJob(QueryJob& job);
  std::optional<Error> Converse(QueryJob& job, Micros deadline);
  void StartWorker(const std::string& time_zone, Micros deadline);
  void EndWorker();
  void HideFolders(std::string& text) const;
  // What went wrong when the worker fell silent.
  Error Silence(const QueryJob& job, Micros deadline) const;

  // The data a query asked for, all at one position.
  Prepared Prepare(const QueryJob& job, const CatalogState& catalog, const NeedMessage& need,
                   Micros deadline);
  bool IsExact(const std::string& view, const EqualColumn& equal) const;
  void ReadViews(const QueryJob& job, const NeedMessage& need, Micros deadline, Prepared& prepared);
  bool SendData(Prepared& prepared, Micros deadline);

  Queries& queries_;
  std::unique_ptr<ChildProcess> worker_;
  std::string worker_zone_;
  std::mutex current_mutex_;
  std::shared_ptr<QueryJob> current_;
  std::thread thread_;
};

}  // namespace weir
