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
  // A team of two whose faster member had this much work, and which took so long.
  void report(Clock::duration work, Clock::duration time) {
    congestion_.report(now_, 2, time, work);
  }
  void report_delay() { report(microseconds(100), milliseconds(4)); }
  // Regions that take `time` for a millisecond of each member's work, over a whole window.
  void report_window(Clock::duration time) {
    for (Clock::duration sum{}; sum < Congestion::kWindow; sum += time) {
      report(milliseconds(1), time);
    }
  }

  Congestion congestion_;
  Clock::time_point now_ = Clock::time_point(milliseconds(1000));
};

TEST_F(CongestionTest, OneRegionThatGainsNothingIsAnImbalance) {
  report(milliseconds(4), milliseconds(8));
  EXPECT_FALSE(congestion_.active(now_));
}

TEST_F(CongestionTest, ALongDelayMeansOneThreadForAWhile) {
  report_delay();
  EXPECT_TRUE(congestion_.active(now_));
  EXPECT_TRUE(congestion_.active(now_ + Congestion::kFirstPause - microseconds(1)));
  EXPECT_FALSE(congestion_.active(now_ + Congestion::kFirstPause));
}

TEST_F(CongestionTest, AMemberThatOthersOnlyHelpMayGainLittle) {
  for (int i = 0; i < 100; ++i) {
    congestion_.report_helped(now_, milliseconds(1), microseconds(1051));
    congestion_.report_helped(now_, microseconds(1003), microseconds(1003));
  }
  EXPECT_FALSE(congestion_.active(now_));
  for (int i = 0; i < 3; ++i) {  // the first ones are paid for
    congestion_.report_helped(now_, milliseconds(4), microseconds(100));
  }
  EXPECT_TRUE(congestion_.active(now_));
}

TEST_F(CongestionTest, ADelayIsPaidForByWhatWasGained) {
  for (int i = 0; i < 20; ++i) report(milliseconds(1), milliseconds(1));  // gain 20 ms; 10 count
  report_delay();
  report_delay();  // each loses 3.8 ms
  EXPECT_FALSE(congestion_.active(now_));
  report_delay();
  EXPECT_TRUE(congestion_.active(now_));
  // After a pause nothing is left.
  now_ += Congestion::kFirstPause;
  report(milliseconds(1), milliseconds(1));
  report_delay();
  EXPECT_TRUE(congestion_.active(now_));
}

TEST_F(CongestionTest, ADelayThatIsPaidForIsNotPartOfAWindow) {
  report(milliseconds(2), milliseconds(2));
  report(milliseconds(2), milliseconds(2));
  report_delay();
  for (int i = 0; i < 3; ++i) report(milliseconds(2), milliseconds(2));
  EXPECT_FALSE(congestion_.active(now_));
}

TEST_F(CongestionTest, ManyRegionsThatGainLittleMeanOneThread) {
  report_window(microseconds(1800));
  EXPECT_TRUE(congestion_.active(now_));
}

TEST_F(CongestionTest, RegionsThatGainEnoughMeanATeam) {
  report_window(microseconds(1500));
  report_window(microseconds(1000));
  EXPECT_FALSE(congestion_.active(now_));
}

TEST_F(CongestionTest, PausesGrowUntilTeamsRunWellForAWindow) {
  for (milliseconds pause = Congestion::kFirstPause; pause < 2 * Congestion::kLongestPause;
       pause *= 2) {
    const milliseconds expected = std::min(pause, Congestion::kLongestPause);
    report_delay();
    EXPECT_TRUE(congestion_.active(now_ + expected - microseconds(1))) << expected.count();
    EXPECT_FALSE(congestion_.active(now_ + expected)) << expected.count();
    now_ += expected;
  }
  report(milliseconds(1), milliseconds(1));
  report_delay();
  EXPECT_TRUE(congestion_.active(now_ + Congestion::kFirstPause));
  now_ += Congestion::kLongestPause;
  report_window(milliseconds(1));
  for (int i = 0; i < 3; ++i) report_delay();
  EXPECT_TRUE(congestion_.active(now_));
  EXPECT_FALSE(congestion_.active(now_ + Congestion::kFirstPause));
}

TEST_F(CongestionTest, TheFirstTeamAfterAPauseIsToldOnce) {
  EXPECT_FALSE(congestion_.resuming());
  report_delay();
  EXPECT_TRUE(congestion_.resuming());
  EXPECT_FALSE(congestion_.resuming());
}

TEST_F(CongestionTest, ThreadsThatWakeLateMeanTheNextPause) {
  report_delay();
  now_ += Congestion::kFirstPause;
  congestion_.report_waking(now_, Congestion::kWaking);
  EXPECT_FALSE(congestion_.active(now_));
  congestion_.report_waking(now_, Congestion::kWaking + microseconds(1));
  EXPECT_TRUE(congestion_.active(now_ + 2 * Congestion::kFirstPause - microseconds(1)));
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
  report_delay();
  EXPECT_FALSE(congestion_.active(now_));
}

}  // namespace
}  // namespace ostinato::test
