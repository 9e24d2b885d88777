import { createPlatformApp } from './app';

createPlatformApp();
