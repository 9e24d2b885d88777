import { createTeamsApp } from './app';

createTeamsApp();
