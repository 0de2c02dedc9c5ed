// What the thread sanitizer must not tell about the batch queries that views are compared with.
#if defined(__SANITIZE_THREAD__)

// DuckDB's window operator takes the locks of two partitions in either order, in one thread; its
// library is not instrumented, so the sanitizer sees neither its barriers nor its tasks.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "deadlock:libduckdb.so\n"; }

#endif
