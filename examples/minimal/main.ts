import { createApp } from '../../src/index.js';
import { AppModule } from './app.module.js';

const app = await createApp(AppModule);
app.enableShutdownHooks();
await app.listen(process.env['GATEHOUSE_PORT'] ?? 8000, '127.0.0.1');
