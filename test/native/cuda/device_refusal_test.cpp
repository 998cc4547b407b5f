// Each reason to refuse a GPU, from what a driver would say.
#include "native/cuda/device_refusal.h"

#include <gtest/gtest.h>

namespace quire::cuda {
namespace {

DriverFacts usable() {
  DriverFacts facts;
  facts.driver = 13000;
  facts.runtime = 13000;
  facts.devices = 1;
  facts.name = "Test GPU";
  facts.compute = 90;
  return facts;
}

TEST(DeviceRefusal, NoneForADriverOfTheSameMajorVersionAndANewerOne) {
  DriverFacts facts = usable();
  EXPECT_EQ(device_refusal(facts), "");
  facts.runtime = 13010;  // a newer minor release needs no newer driver
  EXPECT_EQ(device_refusal(facts), "");
  facts.driver = 14000;
  EXPECT_EQ(device_refusal(facts), "");
}

TEST(DeviceRefusal, NoDriver) {
  DriverFacts facts = usable();
  facts.driver = 0;
  EXPECT_EQ(device_refusal(facts), "there is no NVIDIA driver");
}

TEST(DeviceRefusal, DriverTooOldNamesBothVersions) {
  DriverFacts facts = usable();
  facts.driver = 12080;
  EXPECT_EQ(device_refusal(facts),
            "the NVIDIA driver is for CUDA 12.8, CUDA 13.0 or later is needed: update the driver");
}

TEST(DeviceRefusal, NoDeviceSaysWhatTheDriverSaid) {
  DriverFacts facts = usable();
  facts.devices = 0;
  facts.said = "no CUDA-capable device is detected";
  EXPECT_EQ(device_refusal(facts), "no NVIDIA GPU can be used: no CUDA-capable device is detected");
}

TEST(DeviceRefusal, DeviceTooOldNamesItAndItsCapability) {
  DriverFacts facts = usable();
  facts.compute = 75;
  EXPECT_EQ(device_refusal(facts), "Test GPU has compute capability 7.5, 8.0 or later is needed");
  facts.compute = 80;
  EXPECT_EQ(device_refusal(facts), "");
}

}  // namespace
}  // namespace quire::cuda
