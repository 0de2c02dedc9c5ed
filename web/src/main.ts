import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { board } from './board.svelte';
import { live } from './state.svelte';

live.start();
void board.load();
mount(App, { target: document.getElementById('app')! });
