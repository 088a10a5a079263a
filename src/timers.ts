/**
 * Node's own timers and wall clock, as they were when the agent started. A test in the application may install fake ones at any time: theirs
 * are due when the test says so, so an export would end with "no answer in time", and they complain about timers of others. A span that is timed by their clocks begins in
 * another year. The monotonic clock is in trace/clock.ts: it costs too much at start.
 */
export const startTimer = setTimeout;
export const stopTimer = clearTimeout;
export const readWallClock = Date.now;
