#include "io/process/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace weir {
namespace {

// Runs `body` in a child that is shut in, and returns what it returned.
template <typename Body>
int Shut(const std::string& readable, Body body) {
  pid_t child = fork();
  if (child == 0) {
    SandboxRules rules;
    rules.readable = {readable};
    Sandbox sandbox = EnterSandbox(rules);
    if (!sandbox.landlock || !sandbox.seccomp) _exit(77);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("weir_sandbox_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_ / "inside");
    std::ofstream(folder_ / "inside" / "file") << "x";
    std::ofstream(folder_ / "outside") << "x";
    std::filesystem::create_symlink(folder_ / "outside", folder_ / "inside" / "link");
    if (Shut(inside(), [] { return 0; }) == 77) GTEST_SKIP() << "the kernel offers no sandbox";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string inside() const { return folder_ / "inside"; }

  // 0 when opening works, errno when not.
  int OpenIn(const std::string& path, int flags) {
    return Shut(inside(), [&] { return open(path.c_str(), flags, 0600) >= 0 ? 0 : errno; });
  }

  std::filesystem::path folder_;
};

TEST_F(SandboxTest, FilesBelowTheFolderCanBeRead) {
  EXPECT_EQ(OpenIn(inside() + "/file", O_RDONLY), 0);
}

TEST_F(SandboxTest, OtherFilesCannot) {
  EXPECT_EQ(OpenIn(folder_ / "outside", O_RDONLY), EACCES);
  EXPECT_EQ(OpenIn("/etc/passwd", O_RDONLY), EACCES);
  EXPECT_EQ(OpenIn(inside() + "/../outside", O_RDONLY), EACCES);
  EXPECT_EQ(OpenIn(inside() + "/link", O_RDONLY), EACCES);
}

TEST_F(SandboxTest, NothingCanBeWritten) {
  EXPECT_EQ(OpenIn(inside() + "/file", O_WRONLY), EACCES);
  EXPECT_EQ(OpenIn(inside() + "/file", O_RDWR), EACCES);
  EXPECT_EQ(OpenIn(inside() + "/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(OpenIn(inside() + "/file", O_RDONLY | O_TRUNC), EACCES);
  EXPECT_EQ(Shut(inside(), [&] { return unlink((inside() + "/file").c_str()) == 0 ? 0 : errno; }),
            EPERM);
}

TEST_F(SandboxTest, NoSocketsProcessesOrSignals) {
  EXPECT_EQ(Shut(inside(), [] { return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno; }), EPERM);
  EXPECT_EQ(Shut(inside(),
                 [] {
                   pid_t child = fork();
                   if (child == 0) _exit(0);
                   return child > 0 ? 0 : errno;
                 }),
            EPERM);
  EXPECT_EQ(Shut(inside(),
                 [] {
                   execl("/bin/true", "true", nullptr);
                   return errno;
                 }),
            EPERM);
  EXPECT_EQ(Shut(inside(), [] { return kill(getppid(), 0) == 0 ? 0 : errno; }), EPERM);
}

TEST_F(SandboxTest, ThreadsWork) {
  EXPECT_EQ(Shut(inside(),
                 [] {
                   int result = 1;
                   std::thread([&] { result = 0; }).join();
                   return result;
                 }),
            0);
}

}  // namespace
}  // namespace weir
