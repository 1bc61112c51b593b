import 'reflect-metadata';
import { run } from './cli/program.js';

// Not process.exit: what is still being written must get out, and `serve` goes on after its command has returned.
process.exitCode = await run(process.argv);
