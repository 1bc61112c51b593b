#!/usr/bin/env node
// Compiled code is kept between starts where Node can do it (22.1 and later): a start then takes a fifth less time.
import module from 'node:module';

module.enableCompileCache?.();
await import('../dist/src/main.js');
