import 'reflect-metadata';
import { run } from './cli/program.js';

const code = await run(process.argv);
// A start that failed half-way may leave timers behind. After success nothing is forced: `serve` goes on, and output still gets out.
if (code !== 0) process.exit(code);
