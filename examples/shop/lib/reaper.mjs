// Outlives a demo that is killed so hard that it cannot clean up: its input is a pipe from the demo, which closes when
// the demo is gone. Lines are ids of processes to end then; a line with a minus says that one has ended by itself.
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';

const GRACE_MS = 1_000;

const running = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const id = Number(line);
  if (id > 0) running.add(id);
  else running.delete(-id);
}
for (const signal of ['SIGTERM', 'SIGKILL']) {
  for (const id of running) {
    try {
      process.kill(id, signal);
    } catch {
      // Gone already.
      running.delete(id);
    }
  }
  // A server may have a database to remove.
  if (running.size > 0) await setTimeout(GRACE_MS);
}
