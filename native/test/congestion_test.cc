#include "core/congestion.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/parallel.h"

namespace ostinato::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Clock = Congestion::Clock;

// Tests of threads are to have the threads that they ask for, however busy the machine is.
class Teams : public testing::Environment {
  void SetUp() override { congestion().set_enabled(false); }
};
[[maybe_unused]] const testing::Environment* const kTeams =
    testing::AddGlobalTestEnvironment(new Teams);

class CongestionTest : public testing::Test {
 protected:
  static constexpr Clock::duration kWork = microseconds(100), kLongWait = milliseconds(4);
  Congestion congestion_;
  Clock::time_point now_ = Clock::time_point(milliseconds(1000));
};

TEST_F(CongestionTest, WaitsAsLongAsTheWorkAreImbalance) {
  congestion_.report(now_, milliseconds(4), milliseconds(4));
  EXPECT_FALSE(congestion_.active(now_));
}

TEST_F(CongestionTest, ALongWaitMeansOneThreadForAWhile) {
  congestion_.report(now_, kWork, kLongWait);
  EXPECT_TRUE(congestion_.active(now_));
  EXPECT_TRUE(congestion_.active(now_ + Congestion::kFirstPause - microseconds(1)));
  EXPECT_FALSE(congestion_.active(now_ + Congestion::kFirstPause));
}

TEST_F(CongestionTest, PausesGrowUntilATeamRunsWell) {
  for (milliseconds pause = Congestion::kFirstPause; pause < 2 * Congestion::kLongestPause;
       pause *= 2) {
    const milliseconds expected = std::min(pause, Congestion::kLongestPause);
    congestion_.report(now_, kWork, kLongWait);
    EXPECT_TRUE(congestion_.active(now_ + expected - microseconds(1))) << expected.count();
    EXPECT_FALSE(congestion_.active(now_ + expected)) << expected.count();
    now_ += expected;
  }
  congestion_.report(now_, kWork, microseconds(1));
  congestion_.report(now_, kWork, kLongWait);
  EXPECT_FALSE(congestion_.active(now_ + Congestion::kFirstPause));
}

// A member that loses its processor holds up the others inside the region, at the barrier.
TEST(CongestionOfBarriers, WaitsInsideARegionCount) {
  congestion().set_enabled(true);
  Barrier barrier;
  bool team_of_two = false;
  parallel_team(2, [&](const Member& member) {
    if (member.size == 1) return;
    if (member.index == 0) team_of_two = true;
    if (member.index == 1) std::this_thread::sleep_for(milliseconds(20));
    barrier.wait(member);
  });
  const bool active = congestion().active(Clock::now());
  congestion().set_enabled(false);
#if defined(OSTINATO_PARALLEL_SERIAL)
  EXPECT_FALSE(team_of_two);
#else
  EXPECT_TRUE(team_of_two);
  EXPECT_TRUE(active);
#endif
}

TEST_F(CongestionTest, CanBeSwitchedOff) {
  congestion_.set_enabled(false);
  congestion_.report(now_, kWork, kLongWait);
  EXPECT_FALSE(congestion_.active(now_));
}

}  // namespace
}  // namespace ostinato::test
