// An exception that crosses threads is counted atomically inside the C++ library, which is not
// built with ThreadSanitizer: the last release looks like a race with whoever read the exception
// before.
#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_suppressions() {
  return "race:std::__exception_ptr::exception_ptr::_M_release\n";
}
#endif
