/**
 * Node's own timers, as they were when the agent started. A test in the application may install fake ones at any time: theirs
 * are due when the test says so, so an export would end with "no answer in time", and they complain about timers of others.
 */
export const startTimer = setTimeout;
export const stopTimer = clearTimeout;
