package memory

import (
	"context"
	"sync"

	"github.com/dobyte/due/v2/locate"
)

// Locator of one process.
type Locator struct {
	mu    sync.Mutex
	gates map[int64]string
	nodes map[int64]map[string]string
}

// NewLocator makes an empty one.
func NewLocator() *Locator {
	return &Locator{gates: map[int64]string{}, nodes: map[int64]map[string]string{}}
}

// Name of the locator.
func (l *Locator) Name() string { return "memory" }

// Watch reports nothing: there is one gate and one node.
func (l *Locator) Watch(context.Context, ...string) (locate.Watcher, error) {
	return &silence{end: make(chan struct{})}, nil
}

type silence struct {
	once sync.Once
	end  chan struct{}
}

func (s *silence) Next() ([]*locate.Event, error) {
	<-s.end
	return nil, context.Canceled
}

func (s *silence) Stop() error {
	s.once.Do(func() { close(s.end) })
	return nil
}

// BindGate notes where an account is.
func (l *Locator) BindGate(_ context.Context, uid int64, gid string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gates[uid] = gid
	return nil
}

// UnbindGate forgets it.
func (l *Locator) UnbindGate(_ context.Context, uid int64, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.gates, uid)
	return nil
}

// LocateGate returns it.
func (l *Locator) LocateGate(_ context.Context, uid int64) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gates[uid], nil
}

// BindNode notes which node an account belongs to.
func (l *Locator) BindNode(_ context.Context, uid int64, name, nid string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes[uid] == nil {
		l.nodes[uid] = map[string]string{}
	}
	l.nodes[uid][name] = nid
	return nil
}

// UnbindNode forgets it.
func (l *Locator) UnbindNode(_ context.Context, uid int64, name, _ string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.nodes[uid], name)
	return nil
}

// LocateNode returns it.
func (l *Locator) LocateNode(_ context.Context, uid int64, name string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[uid][name], nil
}

// LocateNodes returns all of them.
func (l *Locator) LocateNodes(_ context.Context, uid int64) (map[string]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	nodes := make(map[string]string, len(l.nodes[uid]))
	for name, nid := range l.nodes[uid] {
		nodes[name] = nid
	}
	return nodes, nil
}
