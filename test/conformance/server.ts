import { createApp } from '../../src/index.js';
import { ConformanceModule } from './fixtures/conformance.module.js';

const app = await createApp(ConformanceModule, { logger: false });
app.enableShutdownHooks();
await app.listen(Number(process.env['GATEHOUSE_PORT']), '127.0.0.1');
process.stdout.write('listening\n');
