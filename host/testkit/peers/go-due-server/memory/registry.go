// Package memory is a registry and a locator in memory: what due needs to start without etcd and redis.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/dobyte/due/v2/registry"
)

// Registry of one process.
type Registry struct {
	mu        sync.Mutex
	changed   *sync.Cond
	version   int
	instances map[string]*registry.ServiceInstance
	watchers  map[*watcher]struct{}
}

type watcher struct {
	registry *Registry
	name     string
	given    int  // the version that was given last
	waiting  bool // whether that was taken in
	stopped  bool
}

// NewRegistry makes an empty one.
func NewRegistry() *Registry {
	r := &Registry{version: 1, instances: map[string]*registry.ServiceInstance{}, watchers: map[*watcher]struct{}{}}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// Settled waits until there is an instance of each name and everybody who watches knows the newest list.
func (r *Registry) Settled(patience time.Duration, names ...string) bool {
	late := false
	timer := time.AfterFunc(patience, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		late = true
		r.changed.Broadcast()
	})
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.settled(names) {
		if late {
			return false
		}
		r.changed.Wait()
	}
	return true
}

func (r *Registry) settled(names []string) bool {
	watched := map[string]bool{}
	for w := range r.watchers {
		if w.given != r.version || !w.waiting {
			return false
		}
		watched[w.name] = true
	}
	for _, name := range names {
		if len(r.services(name)) == 0 || !watched[name] {
			return false
		}
	}
	return true
}

func (r *Registry) services(name string) []*registry.ServiceInstance {
	var found []*registry.ServiceInstance
	for _, instance := range r.instances {
		if instance.Name == name {
			found = append(found, instance)
		}
	}
	return found
}

func (r *Registry) change(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.version++
	r.changed.Broadcast()
}

// Name of the registry.
func (r *Registry) Name() string { return "memory" }

// Register adds an instance, or takes the place of an older state of it.
func (r *Registry) Register(_ context.Context, instance *registry.ServiceInstance) error {
	copied := *instance
	r.change(func() { r.instances[instance.ID] = &copied })
	return nil
}

// Deregister removes an instance.
func (r *Registry) Deregister(_ context.Context, instance *registry.ServiceInstance) error {
	r.change(func() { delete(r.instances, instance.ID) })
	return nil
}

// Services lists instances.
func (r *Registry) Services(_ context.Context, name string) ([]*registry.ServiceInstance, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.services(name), nil
}

// Watch reports changes.
func (r *Registry) Watch(_ context.Context, name string) (registry.Watcher, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &watcher{registry: r, name: name}
	r.watchers[w] = struct{}{}
	return w, nil
}

// Next waits for a change. Asking again means that the previous answer was taken in.
func (w *watcher) Next() ([]*registry.ServiceInstance, error) {
	r := w.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	w.waiting = true
	r.changed.Broadcast()
	for w.given == r.version && !w.stopped {
		r.changed.Wait()
	}
	if w.stopped {
		return nil, context.Canceled
	}
	w.given, w.waiting = r.version, false
	return r.services(w.name), nil
}

// Stop ends it.
func (w *watcher) Stop() error {
	w.registry.change(func() {
		w.stopped = true
		delete(w.registry.watchers, w)
	})
	return nil
}
