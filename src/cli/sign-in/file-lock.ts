import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** Whoever holds a lock for longer has been stopped in the middle. */
const STALE_MS = 60_000;
const LOOK_EVERY_MS = 50;

/** Runs `act` while no other process does so under the same path. A lock whose owner is gone, or which is older than a minute, is taken over. */
export async function locked<T>(path: string, act: () => Promise<T>): Promise<T> {
  while (!take(path)) {
    if (isAbandoned(path)) rmSync(path, { force: true });
    else await setTimeout(LOOK_EVERY_MS);
  }
  try {
    return await act();
  } finally {
    rmSync(path, { force: true });
  }
}

function take(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAbandoned(path: string): boolean {
  try {
    if (Date.now() - statSync(path).mtimeMs > STALE_MS) return true;
    const owner = Number(readFileSync(path, 'utf8'));
    // Empty: its owner is about to write its number.
    return owner > 0 && !isRunning(owner);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
