import { Module } from '@nestjs/common';
import { GatehouseModule } from '../../src/index.js';
import { NotesTools } from './notes.tools.js';

/** A whole MCP server: Gatehouse, configured by the environment, and one class of tools. */
@Module({ imports: [GatehouseModule.fromEnv()], providers: [NotesTools] })
export class AppModule {}
